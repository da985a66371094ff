"""A unix socket that stands before another one: names that move, servers that answer otherwise."""
import socket
import threading


class UnixProxy:
    """Leads to the socket `target`, which may change: connections that stand stay where they are. A subclass says what of the client's bytes goes through."""

    def __init__(self, path, target):
        self.target = target
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            up = socket.socket(socket.AF_UNIX)
            try:
                up.connect(str(self.target))
            except OSError:
                client.close()
                continue
            for work, source, sink in ((self.ask, client, up), (self.pump, up, client)):
                threading.Thread(target=work, args=(source, sink), daemon=True).start()

    def ask(self, client, up):
        self.pump(client, up)

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # one of the two has gone: so does the other

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
