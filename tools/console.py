#!/usr/bin/env python3
"""Builds the console (console/, npm and vite) and writes it as C for the daemon to serve.

    console.py SOURCE OUTPUT.c auto|enabled|disabled

SOURCE is console/.  What npm fetches and vite makes stays there (node_modules/, dist/), for all build folders: vite runs again only
when something that it reads has changed.  Without npm or the network, `auto` writes a page that says how to get the console, and a
file `missing` beside OUTPUT.c; `enabled` fails.
"""
import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}
INPUTS = ("package.json", "package-lock.json", "vite.config.js", "index.html", "src", "public")


class Missing(Exception):
    """Why there is no console."""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def files_below(path):
    if os.path.isfile(path):
        yield path
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)


def stamp_of(source, names):
    """What the files hold, in one word."""
    digest = hashlib.sha256()
    for name in names:
        for path in files_below(os.path.join(source, name)):
            digest.update(os.path.relpath(path, source).encode() + b"\0" + hashlib.sha256(read(path)).digest())
    return digest.hexdigest()


def has_stamp(path, stamp):
    return os.path.exists(path) and read(path).decode() == stamp


def run(source, *command):
    try:
        done = subprocess.run(command, cwd=source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
    except OSError as problem:
        raise Missing(f"{command[0]}: {problem.strerror}") from None
    if done.returncode:
        raise Missing(f"{' '.join(command[:2])} failed:\n{done.stdout.strip()}")


def install(source):
    """The packages of the lock file, when they are others than those that are there."""
    stamp, mark = stamp_of(source, ("package-lock.json",)), os.path.join(source, "node_modules", ".herald")
    if has_stamp(mark, stamp):
        return
    if not shutil.which("npm") or not shutil.which("node"):
        raise Missing("node and npm are not installed (Debian: apt-get install nodejs npm)")
    print("console: npm fetches the page's libraries", flush=True)
    run(source, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
    with open(mark, "w", encoding="ascii") as file:
        file.write(stamp)


def build(source):
    """Makes dist/ anew when it is of other sources; the folder's path."""
    dist = os.path.join(source, "dist")
    mark, stamp = os.path.join(dist, ".herald"), stamp_of(source, INPUTS)
    with open(os.path.join(source, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several build folders may be built at once
        if not has_stamp(mark, stamp):
            install(source)
            run(source, "node", os.path.join("node_modules", "vite", "bin", "vite.js"), "build", "--logLevel", "warn")
            with open(mark, "w", encoding="ascii") as file:
                file.write(stamp)
        return {"/" + os.path.relpath(path, dist): read(path) for path in files_below(dist) if path != mark}


# --- C -----------------------------------------------------------------------------------------

def array(name, octets):
    rows = [", ".join(str(o) for o in octets[i:i + 32]) for i in range(0, len(octets), 32)]
    return f"static const unsigned char {name}[] = {{\n    " + ",\n    ".join(rows) + "\n};\n"


def row(path, name, octets, packed):
    etag = hashlib.sha256(octets).hexdigest()[:24]
    kind = TYPES[os.path.splitext(path if path != "/" else ".html")[1] or ".html"]
    return (f'    {{ .path = "{path}", .type = "{kind}", .octets = {name}, .n = sizeof({name}), .gzip = {"true" if packed else "false"}, '
            f'.etag = "{etag}" }},\n')


def write(files, output):
    text = '/* Made by tools/console.py from console/. */\n#include "http/api.h"\n\n'
    rows = ""
    for n, (path, octets) in enumerate(sorted(files.items())):
        packed = path.endswith((".js", ".css"))
        octets = gzip.compress(octets, 9, mtime=0) if packed else octets
        text += array(f"file_{n}", octets)
        rows += row("/" if path == "/index.html" else path, f"file_{n}", octets, packed)
    text += f"\nconst struct api_static api_static_table[] = {{\n{rows}    {{ .path = NULL }},\n}};\n"
    with open(output, "w", encoding="ascii") as file:
        file.write(text)


def main(source, output, wanted):
    missing = os.path.join(os.path.dirname(output), "missing")
    if os.path.exists(missing):
        os.unlink(missing)
    try:
        if wanted == "disabled":
            raise Missing("the build was set up without it (-Dconsole=disabled)")
        files = build(source)
    except Missing as why:
        if wanted == "enabled":
            sys.exit(f"console: {why}")
        print(f"console: not built: {why}\nconsole: the daemon works without it; `make console` tries again", flush=True)
        with open(missing, "w", encoding="utf-8") as file:
            file.write(f"{why}\n")
        files = {"/index.html": read(os.path.join(source, "missing.html"))}
    write(files, output)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[3] not in ("auto", "enabled", "disabled"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
