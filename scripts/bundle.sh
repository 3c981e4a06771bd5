#!/usr/bin/env bash
# `make bundle`: a folder, and the same as an archive, that runs on a Linux with nothing but its C library: the program
# with the Swift runtime and OpenSSL linked into it, what else it needs in lib/, perf/scaling, an example; at most
# 60 MiB.
#
# The objects are those of the release build, so that what is measured with it is the same; they are linked once more,
# with static libraries, ICU's data cut down to what is used (scripts/icu_subset.py), and no tables for unwinding:
# nothing here throws a C++ exception, and backtraces go by frame pointers. The program looks for libraries in its own
# lib/ first. The C library is the system's; where that is older than this machine's, sluice-own-libc brings one.
#   scripts/bundle.sh [FOLDER]     default: .build/bundle/sluice-VERSION-ARCHITECTURE
set -euo pipefail
cd "$(dirname "$0")/.."

limit_bytes=$((60 << 20))
release="$(swift build -c release --show-bin-path)"
swift_root="$(dirname "$(dirname "$(readlink -f "$(command -v swiftc)")")")"
static="$swift_root/lib/swift_static/linux"
version="$("$release/sluice" --version)"
name="sluice-$version-$(uname -m)"
folder="${1:-.build/bundle/$name}"
fail() {
    echo "sluice: $1" >&2
    exit 1
}
[ -f "$static/lib_FoundationICU.a" ] || fail "this Swift toolchain has no static libraries ($static)"

work="$(mktemp -d "${TMPDIR:-/tmp}/sluice-bundle.XXXXXX")"
trap 'rm -rf "$work"' EXIT

# ICU's data, under its own name and before the archive that has all of it, so that the linker takes this.
icu_data() {
    local member=icu_packaged_data.cpp.o symbol
    (cd "$work" && ar x "$static/lib_FoundationICU.a" "$member")
    symbol="$(nm --defined-only "$work/$member" | awk '/ icudt[0-9]+_dat$/ { print $3 }')"
    [ -n "$symbol" ] || fail "ICU's data is not where it was in this toolchain ($member)"
    objcopy -O binary --only-section=.rodata "$work/$member" "$work/all.dat"
    python3 -B scripts/icu_subset.py "$work/all.dat" "$work/some.dat"
    cat > "$work/data.S" <<ASSEMBLY
.section .rodata
.balign 16
.global $symbol
.type $symbol, @object
$symbol:
.incbin "$work/some.dat"
.size $symbol, . - $symbol
.section .note.GNU-stack, "", @progbits
ASSEMBLY
    gcc -c -o "$work/data.o" "$work/data.S"
}

# Found before the shared ones, because nothing else is in their folder. One that is not installed comes as a shared
# one.
static_libraries() {
    local library path
    mkdir "$work/static"
    for library in stdc++ ssl crypto sqlite3 uring xxhash re2; do
        path="$(gcc -print-file-name="lib$library.a")"
        [ ! -f "$path" ] || ln -s "$path" "$work/static/"
    done
}

# The multi-buffer library has its hashes in tables with every cipher that it knows, 10 MiB that nothing here calls. Its
# static archive without them: what the tables name and nobody has is one trap, and the library's test of itself, which
# tries the ciphers too, says yes; `sluice doctor` tries the hashes.
hashes_of_multi_buffer() {
    local archive all="$work/multi-buffer" member kept=() left=()
    archive="$(gcc -print-file-name=libIPSec_MB.a)"
    [ -f "$archive" ] || return 0
    mkdir "$all"
    (cd "$all" && ar x "$archive")
    for member in "$all"/*.o; do
        case "${member##*/}" in
            mb_mgr_hmac_* | sha* | md5* | mb_mgr_auto.o | mb_mgr_sse*.o | mb_mgr_avx*.o | alloc.o | const.o | \
                clear_regs_mem_fns.o | constant_lookup_fns.o | cpu_feature.o | error.o | memcpy_*.o | \
                ooo_mgr_reset.o | save_xmms.o | version.o) kept+=("$member") ;;
            *) left+=("$member") ;;
        esac
    done
    ar rcs "$work/static/libIPSec_MB.a" "${kept[@]}"
    {
        echo '.text'
        comm -12 <(nm --undefined-only --format=just-symbols "${kept[@]}" | sort -u) \
            <(nm --defined-only --extern-only --format=just-symbols "${left[@]}" | sort -u) |
            awk '$1 != "self_test" { print ".global " $1; print $1 ":" }'
        printf '%s\n' 'ud2' '.global self_test' 'self_test:' 'movl $1, %eax' 'ret' \
            '.section .note.GNU-stack, "", @progbits'
    } > "$work/absent.S"
    gcc -c -o "$work/absent.o" "$work/absent.S"
}

link_program() {
    local libraries=(-lm -luring -lssl -lcrypto -lxxhash -lre2)
    [ ! -f "$work/absent.o" ] || libraries+=("$work/absent.o")
    [ "$(uname -m)" != x86_64 ] || libraries+=(-lIPSec_MB)
    echo 'SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table*) } } INSERT AFTER .comment;' > "$work/discard.ld"
    local linker=(
        --defsym main=Server_main --gc-sections --no-export-dynamic --disable-new-dtags '-rpath=$ORIGIN/lib'
        -z pack-relative-relocs -T "$work/discard.ld"
    )
    swiftc -static-stdlib -emit-executable -use-ld=lld -module-name sluice -o "$work/sluice" \
        -L "$work/static" -L "$release" "$work/data.o" "@$release/sluice.product/Objects.LinkFileList" \
        $(printf -- '-Xlinker %s ' "${linker[@]}") \
        -lCoreFoundation -l_FoundationICU -l_FoundationCShims -l_FoundationCollections "${libraries[@]}" \
        2> >(grep -v 'mktemp' >&2)
}

# What belongs to the C library comes from the system, or all together from lib/libc.
is_of_libc() { [[ "$1" =~ ^(ld-linux|libc\.|libm\.|libdl\.|libpthread\.|librt\.|libresolv\.|libutil\.) ]]; }
copy_libraries() {
    local library path
    mkdir -p "$folder/lib/libc"
    while read -r library path; do
        if is_of_libc "$library"; then
            cp -L "$path" "$folder/lib/libc/$library"
        else
            cp -L "$path" "$folder/lib/$library"
            strip --strip-unneeded "$folder/lib/$library"
        fi
    done < <(ldd "$work/sluice" | awk '
        $3 ~ /^\// { print $1, $3 }
        $1 ~ /^\/.*ld-linux/ { n = split($1, part, "/"); print part[n], $1 }')
}

icu_data
static_libraries
hashes_of_multi_buffer
link_program
rm -rf "$folder" "$folder.tar.gz"
mkdir -p "$folder/perf"
strip -s -o "$folder/sluice" "$work/sluice"
copy_libraries
cp perf/scaling "$folder/perf/"
cp docs/sluice.example.yaml "$folder/"
loader="$(cd "$folder/lib/libc" && echo ld-linux*)"
cat > "$folder/sluice-own-libc" <<WRAPPER
#!/bin/sh
# The program with the C library of this bundle, for a system whose own is too old for it.
here=\$(CDPATH='' cd -- "\$(dirname -- "\$0")" && pwd)
exec "\$here/lib/libc/$loader" --library-path "\$here/lib/libc:\$here/lib" "\$here/sluice" "\$@"
WRAPPER
chmod +x "$folder/sluice-own-libc"
git_commit="$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
cat > "$folder/README" <<TEXT
sluice $version ($git_commit), $(uname -m), with the libraries that it needs.

  ./sluice doctor                        what this machine can do
  ./sluice serve                         an example gateway on 127.0.0.1
  perf/scaling                           how it grows with its loops, on this machine
  SLUICE_BIN=./sluice-own-libc perf/scaling    where ./sluice says that the system's C library is too old

Needs Linux 6.1 or later, and for the scripts a POSIX shell, awk and sed.
TEXT
bytes="$(du -sb "$folder" | cut -f1)"
tar -C "$(dirname "$folder")" -czf "$folder.tar.gz" "$(basename "$folder")"
echo "$folder: $((bytes >> 20)) MiB, $folder.tar.gz: $(($(stat -c %s "$folder.tar.gz") >> 20)) MiB"
[ "$bytes" -le "$limit_bytes" ] || fail "the bundle is larger than $((limit_bytes >> 20)) MiB"
