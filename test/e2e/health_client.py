"""What a probe or Prometheus asks of a platoon whose `health` is unix:DIR/h.sock, and reads."""
import http.client
import socket

from platoon_fixture import SCALE


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10 * SCALE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def get(platoon, path, method="GET", body=None):
    connection = UnixConnection(platoon.dir / "h.sock")
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def samples(text):
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")}
