// client.mjs MODULE SOCKET STORE RESOURCE: what client.js shows of a store, a JSON line each; fetch goes to a unix socket.
import http from "node:http";
import { pathToFileURL } from "node:url";

const [module, socketPath, store, resource] = process.argv.slice(2);

// What of fetch the module uses, over http.request: node's own cannot go to a unix socket.
globalThis.fetch = (url, { headers, signal }) => new Promise((resolve, reject) => {
    const request = http.request({ socketPath, path: url.pathname + url.search, headers: { Host: "localhost", ...headers }, signal }, (answer) => {
        const parts = answer[Symbol.asyncIterator]();
        resolve({
            ok: answer.statusCode === 200,
            status: answer.statusCode,
            text: async () => { let all = ""; for await (const part of answer) all += part; return all; },
            body: { getReader: () => ({ read: () => parts.next() }) },
        });
    });
    request.on("error", reject);
    request.end();
});

const { subscribe } = await import(pathToFileURL(module));
subscribe(store, [resource], (name, text, version) => console.log(JSON.stringify({ resource: name, text, ...version })), {
    base: "http://localhost/data/",
    onState: (state, why) => console.log(JSON.stringify({ state, why })),
});
