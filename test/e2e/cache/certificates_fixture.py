"""Certificates for TLS, made as a person would make them."""
import subprocess


def certificates(directory):
    """ca.crt, and server.crt with server.key, of localhost and 127.0.0.1."""
    (directory / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    make = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    for line in (f"openssl req -x509 {make} -days 2 -subj /CN=ca -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt",
                 f"openssl req {make} -subj /CN=server -keyout server.key -out server.csr",
                 "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.crt"):
        subprocess.run(line.split(), cwd=directory, check=True, capture_output=True)
