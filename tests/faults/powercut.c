/*
 * A disk that keeps what was synced and nothing else, for one process: preloaded into it, this
 * holds every positional write in memory until its file is synced. SIGKILL is then a power cut:
 * what was not synced never reaches the file. (A plain SIGKILL leaves it in the page cache.)
 *
 * The write-ahead log is all that the gateway writes by position. Deliberately without an overlay
 * for reads: who reads what was not synced finds what the disk has.
 *
 *   POWERCUT_EARLY=N      every Nth write is on the disk at once, and the last half of the one after
 *                         it, as pages are that the kernel wrote back before it was asked to
 *   POWERCUT_SYNC_MS=N    a sync takes so long before anything is durable
 *   POWERCUT_SKIP=SUFFIX  a sync of a file so named says that it is done, and does nothing
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct held {
    struct held *next;
    dev_t device;
    ino_t file;
    off_t offset;
    size_t length;
    unsigned char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *first;
static struct held **last = &first;

static int write_all(int fd, const unsigned char *bytes, size_t length, off_t offset)
{
    while (length > 0) {
        ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, offset);
        if (written < 0 && errno != EINTR)
            return -1;
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
            offset += written;
        }
    }
    return 0;
}

static void write_early(int fd, const struct held *held)
{
    static unsigned long count;
    const char *every = getenv("POWERCUT_EARLY");
    unsigned long step = every ? strtoul(every, NULL, 10) : 0;
    unsigned long at = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    size_t half = held->length / 2;

    if (step == 0)
        return;
    if (at % step == 0)
        write_all(fd, held->bytes, held->length, held->offset);
    else if (at % step == 1)
        write_all(fd, held->bytes + half, held->length - half, held->offset + (off_t)half);
}

static ssize_t hold(int fd, const void *bytes, size_t length, off_t offset)
{
    struct stat file;
    struct held *held;

    if (fstat(fd, &file) != 0)
        return -1;
    held = malloc(sizeof *held + length);
    if (!held) {
        errno = ENOMEM;
        return -1;
    }
    held->next = NULL;
    held->device = file.st_dev;
    held->file = file.st_ino;
    held->offset = offset;
    held->length = length;
    memcpy(held->bytes, bytes, length);
    write_early(fd, held);
    pthread_mutex_lock(&lock);
    *last = held;
    last = &held->next;
    pthread_mutex_unlock(&lock);
    return (ssize_t)length;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return hold(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    return hold(fd, bytes, length, offset);
}

/* Writes what is held of this file, in order, and forgets it. */
static int apply(int fd)
{
    struct stat file;
    struct held **at = &first;
    int result = fstat(fd, &file);

    pthread_mutex_lock(&lock);
    while (result == 0 && *at) {
        struct held *held = *at;
        if (held->device != file.st_dev || held->file != file.st_ino) {
            at = &held->next;
            continue;
        }
        result = write_all(fd, held->bytes, held->length, held->offset);
        *at = held->next;
        free(held);
    }
    for (last = &first; *last; last = &(*last)->next)
        ;
    pthread_mutex_unlock(&lock);
    return result;
}

static int skipped(int fd)
{
    char link[64], path[4096];
    const char *suffix = getenv("POWERCUT_SKIP");
    ssize_t length;

    if (!suffix)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path);
    return length >= (ssize_t)strlen(suffix) &&
           memcmp(path + length - strlen(suffix), suffix, strlen(suffix)) == 0;
}

static int sync_file(int fd, long number)
{
    const char *ms = getenv("POWERCUT_SYNC_MS");
    long wait_ms = ms ? atol(ms) : 0;
    struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};

    if (skipped(fd))
        return 0;
    nanosleep(&wait, NULL);
    if (apply(fd) != 0)
        return -1;
    return (int)syscall(number, fd);
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}
