// client.js: the newest text of resources, as it changes. Served by platoon's web worker at /data/client.js.
//
//     import { subscribe } from "/data/client.js";
//     const reader = subscribe("plan", ["app"], (resource, text, version) => { ... });
//     reader.close();
//
// What comes are the splices of each change; a text is put together here, and onText is called with all of it. What was
// missed while the network was away is made up for. While the tab is hidden the connection is closed: a browser has six
// of them for all tabs. Works in node 18 too.

const RETRY_MIN = 500, RETRY_MAX = 30000; // ms between two tries
const SILENCE = 45000; // without a word, pings are one, the connection is dead

// A line includes its \n; what stands behind the last is one too.
const linesOf = (text) => (text === "" ? [] : text.split(/(?<=\n)/));

// Positions are the old text's, in ascending order: from the last one on they stay right.
export function applySplices(text, splices) {
    const lines = linesOf(text);
    for (let i = splices.length - 1; i >= 0; i--) {
        const [line, removed, put] = splices[i];
        lines.splice(line, removed, put);
    }
    return lines.join("");
}

// Takes bytes of text/event-stream, and tells each event whole.
function eventReader(onEvent) {
    const decoder = new TextDecoder();
    let rest = "", id = "", data = [];
    return (bytes) => {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop();
        for (const line of lines) {
            if (line === "") {
                if (data.length > 0) onEvent(JSON.parse(data.join("\n")), id);
                id = "";
                data = [];
            } else if (line.startsWith("data: ")) {
                data.push(line.slice(6));
            } else if (line.startsWith("id: ")) {
                id = line.slice(4);
            }
        }
    };
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/**
 * Calls onText(resource, text, { seq, commit, blob, time }) with each version, the newest first. resources: names, or []
 * for all of the store. text is a Uint8Array where it is no UTF-8. options: base (of the addresses; the one this module
 * is from), headers (such as Authorization), onState("open" | "away" | "hidden" | "refused", why).
 */
export function subscribe(store, resources, onText, options = {}) {
    const names = [resources].flat();
    const base = options.base ?? new URL(".", import.meta.url).href;
    const say = options.onState ?? (() => {});
    const page = globalThis.document;
    const held = new Map(); // resource: { seq, text }
    let last = "", closed = false, pause = RETRY_MIN, timer, silence, abort;

    const url = new URL(`${encodeURIComponent(store)}/stream`, base);
    for (const name of names) url.searchParams.append("resource", name);

    function take(event, id) {
        const have = held.get(event.resource);
        let text;
        if (event.event === "snapshot") {
            text = event.text ?? bytesOf(event.base64);
        } else if (event.event === "change") {
            if (have !== undefined && event.seq <= have.seq) text = undefined; // it is here already
            else if (have === undefined || have.seq !== event.prev) throw new Error("a change of what is not here");
            else text = applySplices(have.text, event.splices);
        }
        if (id !== "") last = id;
        if (text === undefined) return;
        held.set(event.resource, { seq: event.seq, text });
        const { seq, commit, blob, time } = event;
        onText(event.resource, text, { seq, commit, blob, time });
    }

    function listen() {
        clearTimeout(silence);
        silence = setTimeout(() => abort?.abort(), SILENCE);
    }

    async function read() {
        abort = new AbortController();
        const headers = { ...options.headers, Accept: "text/event-stream" };
        if (last !== "") headers["Last-Event-ID"] = last;
        listen();
        const answer = await fetch(url, { headers, signal: abort.signal, cache: "no-store" });
        if (!answer.ok) {
            const why = `${answer.status}: ${await answer.text()}`;
            closed = answer.status >= 400 && answer.status < 500;
            if (closed) say("refused", why);
            throw new Error(why);
        }
        pause = RETRY_MIN;
        say("open");
        const feed = eventReader(take), body = answer.body.getReader();
        for (let part = await body.read(); !part.done; part = await body.read()) {
            listen();
            feed(part.value);
        }
    }

    async function run() {
        const mine = Symbol("run");
        current = mine;
        try {
            await read();
        } catch (error) {
            if (String(error.message).startsWith("a change of")) last = ""; // from the start
            if (!closed && current === mine && page?.hidden !== true) say("away", String(error.message ?? error));
        }
        clearTimeout(silence);
        abort?.abort();
        if (closed || current !== mine || page?.hidden === true) return;
        timer = setTimeout(run, pause * (0.5 + Math.random() / 2)); // not all of them at once
        pause = Math.min(2 * pause, RETRY_MAX);
    }
    let current;

    function onVisibility() {
        clearTimeout(timer);
        current = undefined;
        abort?.abort();
        if (page.hidden) say("hidden");
        else if (!closed) run();
    }

    page?.addEventListener("visibilitychange", onVisibility);
    if (page?.hidden !== true) run();
    return {
        close() {
            closed = true;
            clearTimeout(timer);
            clearTimeout(silence);
            page?.removeEventListener("visibilitychange", onVisibility);
            abort?.abort();
        },
    };
}
