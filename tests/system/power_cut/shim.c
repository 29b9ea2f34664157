/* What a disk may lose in a power cut: every write since the last fsync of its file.
 *
 * Loaded with LD_PRELOAD. Of each file below CALLWHEEL_TEST_DISK that is opened for writing, what a write or a
 * truncation replaces is first appended to a log of its own in CALLWHEEL_TEST_UNDO; fsync empties that log. A
 * process that is killed leaves its logs behind, and power_cut.py takes back what they hold. Files whose name
 * ends in -shm are shared memory of SQLite, which no disk keeps.
 *
 * While the file CALLWHEEL_TEST_FAULT is there, every write to these files fails with the errno that stands in it.
 *
 * A record is three 64-bit integers (offset, size of the file before, bytes saved), then those bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES_MAX 64
#define DESCRIPTORS_MAX 4096

struct tracked {
    char path[1024];
    int undo;
};

static struct tracked files[FILES_MAX];
static int file_count;
static int file_of[DESCRIPTORS_MAX]; /* 1 + index into files; 0 is not tracked */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *why) {
    fprintf(stderr, "power cut: %s\n", why);
    abort();
}

static int is_tracked(const char *path, int flags) {
    const char *disk = getenv("CALLWHEEL_TEST_DISK");
    size_t length = strlen(path);
    if (disk == NULL || (flags & O_ACCMODE) == O_RDONLY || (flags & O_DIRECTORY))
        return 0;
    if (length >= 4 && strcmp(path + length - 4, "-shm") == 0)
        return 0;
    return strncmp(path, disk, strlen(disk)) == 0 && path[strlen(disk)] == '/';
}

static struct tracked *find(const char *path) {
    char undo[2048];
    const char *folder = getenv("CALLWHEEL_TEST_UNDO");
    for (int at = 0; at < file_count; at++)
        if (strcmp(files[at].path, path) == 0)
            return &files[at];
    if (folder == NULL || file_count == FILES_MAX || strlen(path) >= sizeof files[0].path)
        give_up("no folder for what is taken back, or too many files");
    struct tracked *one = &files[file_count++];
    strcpy(one->path, path);
    snprintf(undo, sizeof undo, "%s/%s", folder, path);
    for (char *at = undo + strlen(folder) + 1; *at; at++)
        if (*at == '/')
            *at = '%';
    one->undo = syscall(SYS_openat, AT_FDCWD, undo, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (one->undo < 0)
        give_up("a log cannot be written");
    return one;
}

static int opened(int descriptor, const char *path, int flags) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS_MAX)
        return descriptor;
    pthread_mutex_lock(&lock);
    file_of[descriptor] = is_tracked(path, flags) ? 1 + (int)(find(path) - files) : 0;
    pthread_mutex_unlock(&lock);
    return descriptor;
}

static struct tracked *tracked_of(int descriptor) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS_MAX || file_of[descriptor] == 0)
        return NULL;
    return &files[file_of[descriptor] - 1];
}

/* With the lock held, and before the change is made. */
static void save(struct tracked *one, int descriptor, int64_t offset, int64_t length) {
    struct stat about;
    if (fstat(descriptor, &about))
        give_up("fstat");
    int64_t saved = about.st_size - offset < length ? about.st_size - offset : length;
    if (saved < 0)
        saved = 0;
    char *record = malloc(24 + saved);
    /* Closing a second descriptor of a file would end the locks that SQLite has on it. */
    int reading = descriptor;
    if ((fcntl(descriptor, F_GETFL) & O_ACCMODE) != O_RDWR)
        reading = syscall(SYS_openat, AT_FDCWD, one->path, O_RDONLY | O_CLOEXEC);
    if (record == NULL || reading < 0)
        give_up("what is replaced cannot be read");
    memcpy(record, &offset, 8);
    memcpy(record + 8, &about.st_size, 8);
    memcpy(record + 16, &saved, 8);
    if (pread(reading, record + 24, saved, offset) != saved)
        give_up("pread");
    if (syscall(SYS_write, one->undo, record, 24 + saved) != 24 + saved)
        give_up("a log cannot be written");
    if (reading != descriptor)
        syscall(SYS_close, reading);
    free(record);
}

/* The errno that the disk answers with just now; 0 is none. */
static int fault(void) {
    char text[16] = "";
    const char *path = getenv("CALLWHEEL_TEST_FAULT");
    int descriptor = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return 0;
    if (syscall(SYS_read, descriptor, text, sizeof text - 1) < 0)
        give_up("the fault cannot be read");
    syscall(SYS_close, descriptor);
    return atoi(text);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int openat(int folder, const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, int);
    va_end(more);
    return opened(syscall(SYS_openat, folder, path, flags, mode), path, flags);
}
int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, int);
    va_end(more);
    return opened(syscall(SYS_openat, AT_FDCWD, path, flags, mode), path, flags);
}
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

int close(int descriptor) {
    pthread_mutex_lock(&lock);
    if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX)
        file_of[descriptor] = 0;
    int result = NEXT(close)(descriptor);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    struct tracked *one = tracked_of(descriptor);
    if (one == NULL)
        return syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    if ((errno = fault()))
        return -1;
    pthread_mutex_lock(&lock);
    save(one, descriptor, offset, length);
    ssize_t result = syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    pthread_mutex_unlock(&lock);
    return result;
}
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

ssize_t write(int descriptor, const void *bytes, size_t length) {
    struct tracked *one = tracked_of(descriptor);
    if (one == NULL)
        return NEXT(write)(descriptor, bytes, length);
    if ((errno = fault()))
        return -1;
    pthread_mutex_lock(&lock);
    int64_t offset = fcntl(descriptor, F_GETFL) & O_APPEND ? lseek(descriptor, 0, SEEK_END)
                                                           : lseek(descriptor, 0, SEEK_CUR);
    save(one, descriptor, offset, length);
    ssize_t result = syscall(SYS_write, descriptor, bytes, length);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int descriptor, off_t length) {
    struct tracked *one = tracked_of(descriptor);
    if (one == NULL)
        return syscall(SYS_ftruncate, descriptor, length);
    pthread_mutex_lock(&lock);
    save(one, descriptor, length, INT64_MAX);
    int result = syscall(SYS_ftruncate, descriptor, length);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

int fsync(int descriptor) {
    struct tracked *one = tracked_of(descriptor);
    if (one == NULL)
        return syscall(SYS_fsync, descriptor);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_ftruncate, one->undo, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int fdatasync(int) __attribute__((alias("fsync")));
