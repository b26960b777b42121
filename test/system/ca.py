"""An authority of the tests' own, made with openssl(1) when it is wanted."""
import os
import ssl
import subprocess

from broker import PATIENCE_S, check


def openssl(*arguments):
    run = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    check(run.returncode == 0, "openssl", arguments, run.stderr)


class Authority:
    """Keys and certificates in a folder: authority.crt, and NAME.crt and NAME.key for each that is made."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.certificate, self.key = self.path(name + ".crt"), self.path(name + ".key")
        self.serial = 1
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-days", "30",
                "-keyout", self.key, "-out", self.certificate)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, alts="DNS:localhost,IP:127.0.0.1", usage="serverAuth,clientAuth", to=None):
        """A certificate and its key; `to` names the files when they stand in for others'."""
        request, extra = self.path(name + ".csr"), self.path(name + ".ext")
        certificate, key = self.path((to or name) + ".crt"), self.path((to or name) + ".key")
        with open(extra, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alts}\nextendedKeyUsage={usage}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", key + ".new",
                "-out", request)
        self.serial += 1
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", "30", "-set_serial", str(self.serial),
                "-extfile", extra, "-out", certificate + ".new")
        os.replace(key + ".new", key)
        os.replace(certificate + ".new", certificate)
        return certificate, key

    def client(self, pair=None, check_name=True):
        """How a client connects that believes this authority alone, and shows a certificate when it has one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        context.check_hostname = check_name
        if pair:
            context.load_cert_chain(*pair)
        return context

    def listen(self, more=""):
        """A listener of a Broker for TLS, on its port "tls", with a certificate of its own."""
        return 'listen "tls://127.0.0.1:{tls}" {{ certificate = "%s"  key = "%s" %s }}\n' % (*self.make("server"), more)
