#!/bin/sh
# Makes a Debian package of a finished build, with nothing but dpkg-deb and what a build needs anyhow.
#   packaging/deb.sh BUILD FOLDER      writes FOLDER/herald_VERSION_ARCHITECTURE.deb and prints its name
# The package holds the programs of BUILD, manual pages, the service, a configuration to edit, and pages to read.
set -eu
build=${1:?the folder of the build} out=${2:?where the package goes}
root=$(cd "$(dirname "$0")/.." && pwd)
for program in src/heraldd/heraldd src/herald/herald; do
    [ -x "$build/$program" ] || { echo "deb.sh: $build/$program is not there; build first" >&2; exit 1; }
done
version=$(sed -n "s/^ *version: *'\([^']*\)'.*/\1/p" "$root/meson.build" | head -n 1)
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022
chmod 0755 "$stage"

# --- what goes where ---------------------------------------------------------------------------

put() { # MODE FROM TO
    install -D -m "$1" "$2" "$stage/$3"
}
put_gz() { # FROM TO
    mkdir -p "$stage/$(dirname "$2")"
    gzip -9n <"$1" >"$stage/$2"
}

put 0755 "$build/src/heraldd/heraldd" usr/sbin/heraldd
put 0755 "$build/src/herald/herald" usr/bin/herald
if command -v strip >/dev/null; then
    strip --strip-unneeded "$stage/usr/sbin/heraldd" "$stage/usr/bin/herald"
fi
for page in herald.1 heraldd.8 herald.conf.5; do
    if [ -f "$build/doc/$page" ]; then
        put_gz "$build/doc/$page" "usr/share/man/man${page##*.}/$page.gz"
    else
        echo "deb.sh: $build/doc/$page is not there (is scdoc installed?): the package goes without it" >&2
    fi
done
put 0644 "$root/packaging/herald.conf" etc/herald/herald.conf
mkdir -p "$stage/usr/lib/systemd/system"
# The comment at its top is for those who install it by hand.
sed -e 's,@sbindir@,/usr/sbin,' -e '1,/^\[Unit\]/{/^#/d;}' "$root/packaging/herald.service.in" \
    >"$stage/usr/lib/systemd/system/herald.service"
for page in architecture threat-model admin-protocol state-file scenarios operating; do
    [ ! -f "$root/doc/$page.md" ] || put 0644 "$root/doc/$page.md" "usr/share/doc/herald/$page.md"
done
put 0644 "$root/README.md" usr/share/doc/herald/README.md
put_gz "$root/CHANGELOG.md" usr/share/doc/herald/changelog.gz
put 0644 "$root/packaging/deb/copyright" usr/share/doc/herald/copyright
put 0644 "$root/examples/first.conf" usr/share/doc/herald/examples/first.conf

# --- what it needs -----------------------------------------------------------------------------

# The packages of the libraries that a program names; of libc6 the version whose symbols it uses.
needs() {
    glibc=$(objdump -T "$@" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -n 1)
    names=$(objdump -p "$@" | awk '$1 == "NEEDED" { print $2 }' | sort -u)
    for name in $names; do
        path=$(ldd "$@" | awk -v name="$name" '$1 == name && $3 ~ /^\// { print $3; exit }')
        case $name in ld-linux*) continue ;; esac
        [ -n "$path" ] || { echo "deb.sh: $name is not found" >&2; return 1; }
        # One folder may have two names, and the system knows the file by one of them.
        package=$(dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "$(readlink -f "$path")" 2>/dev/null ||
            dpkg-query -S "${path#/usr}" 2>/dev/null || dpkg-query -S "/usr$path" 2>/dev/null) ||
            { echo "deb.sh: no package holds $path" >&2; return 1; }
        package=$(printf '%s\n' "$package" | head -n 1)
        case ${package%%:*} in
        libc6) echo "libc6 (>= $glibc)" ;;
        *) echo "${package%%:*}" ;;
        esac
    done | sort -u
}
wanted=$(needs "$build/src/heraldd/heraldd" "$build/src/herald/herald")
depends=$(printf '%s\n' "$wanted" adduser | paste -sd , | sed 's/,/, /g')
size=$(du -sk --apparent-size "$stage" | cut -f 1)

# --- control -----------------------------------------------------------------------------------

mkdir "$stage/DEBIAN"
sed -e "s/@version@/$version/" -e "s/@architecture@/$architecture/" -e "s/@depends@/$depends/" -e "s/@size@/$size/" \
    "$root/packaging/deb/control.in" >"$stage/DEBIAN/control"
echo /etc/herald/herald.conf >"$stage/DEBIAN/conffiles"
for script in postinst prerm postrm; do put 0755 "$root/packaging/deb/$script" "DEBIAN/$script"; done
(cd "$stage" && find etc usr -type f -exec md5sum {} + | sort -k 2 >DEBIAN/md5sums)

mkdir -p "$out"
file=$out/herald_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$stage" "$file" >/dev/null
echo "$file"
