/* Makes reads, or writes, of some files fail with an I/O error, as a bad disk does; or halts the
   process there, once.

   FAULT_PATH    only files whose path contains this
   FAULT_CALL    "read" or "write"
   FAULT_AFTER   so many bytes succeed before, counted by process
   FAULT_HALT    stop the process (SIGSTOP) in place of the error

   Loaded with LD_PRELOAD; built by the tests. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_llong passed;
static atomic_flag halted = ATOMIC_FLAG_INIT;

static int fails(const char *call, int descriptor, size_t count) {
    const char *wanted = getenv("FAULT_CALL"), *path = getenv("FAULT_PATH");
    const char *after = getenv("FAULT_AFTER");
    char link[64], name[4096];
    if (!wanted || !path || !after || strcmp(call, wanted) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    if (!strstr(name, path)) return 0;
    if (atomic_fetch_add(&passed, (long long)count) + (long long)count <= atoll(after)) return 0;
    if (!getenv("FAULT_HALT")) return 1;
    if (!atomic_flag_test_and_set(&halted)) kill(getpid(), SIGSTOP);
    return 0;
}

static size_t sum(const struct iovec *parts, int count) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
    return bytes;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
#define FAIL return (errno = EIO, -1)

ssize_t read(int fd, void *to, size_t n) {
    if (fails("read", fd, n)) FAIL;
    return REAL(ssize_t, read, int, void *, size_t)(fd, to, n);
}
ssize_t pread64(int fd, void *to, size_t n, off64_t at) {
    if (fails("read", fd, n)) FAIL;
    return REAL(ssize_t, pread64, int, void *, size_t, off64_t)(fd, to, n, at);
}
ssize_t pread(int fd, void *to, size_t n, off_t at) { return pread64(fd, to, n, at); }
ssize_t write(int fd, const void *from, size_t n) {
    if (fails("write", fd, n)) FAIL;
    return REAL(ssize_t, write, int, const void *, size_t)(fd, from, n);
}
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
    if (fails("write", fd, n)) FAIL;
    return REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(fd, from, n, at);
}
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return pwrite64(fd, from, n, at); }
ssize_t writev(int fd, const struct iovec *parts, int n) {
    if (fails("write", fd, sum(parts, n))) FAIL;
    return REAL(ssize_t, writev, int, const struct iovec *, int)(fd, parts, n);
}
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t n, unsigned flags) {
    if (fails("read", in, n) || fails("write", out, n)) FAIL;
    return REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned)(
        in, a, out, b, n, flags);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t n) {
    if (fails("read", in, n) || fails("write", out, n)) FAIL;
    return REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)(out, in, at, n);
}
int fsync(int fd) {
    if (fails("fsync", fd, 1)) FAIL;
    return REAL(int, fsync, int)(fd);
}
