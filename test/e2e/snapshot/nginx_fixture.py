"""A real nginx at a port of its own, with whatever a test puts into its server."""
import http.client
import subprocess

from platoon_fixture import free_port, wait_until


class Nginx:
    def __init__(self, home, locations, http_lines=""):
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.html = home / "html"
        self.html.mkdir(parents=True)
        (home / "nginx.conf").write_text(f"""
            daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;
            events {{ worker_connections 256; }}
            http {{
                access_log {home}/access.log combined; default_type text/plain;
                client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
                {http_lines}
                server {{ listen 127.0.0.1:{self.port}; root {home}/html; {locations} }}
            }}""")
        self.process = subprocess.Popen(["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self.listens, 60, "nginx")
        except BaseException:
            self.close()
            raise

    def listens(self):
        assert self.process.poll() is None, (self.home / "error.log").read_text()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.connect()
            connection.close()
            return True
        except ConnectionRefusedError:
            return False

    def answered(self):
        """The status of each request, in order."""
        return [int(line.split('" ')[1].split()[0]) for line in (self.home / "access.log").read_text().splitlines()]

    def close(self):
        self.process.terminate()
        self.process.wait(60)
