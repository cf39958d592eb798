/* Owns the lock of a run. Any thread. */
#include "run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEARTBEAT ".heartbeat"
#define HOLDER ".holder"

void run_lock_note(int dirfd, const char *instance)
{
    int fd = openat(dirfd, HOLDER, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
                    0600);
    struct stat beat;
    if (fd >= 0 && fstatat(dirfd, HEARTBEAT, &beat, AT_SYMLINK_NOFOLLOW) == 0)
        dprintf(fd, "%ld %s %ju:%ju\n", (long)getpid(), instance, (uintmax_t)beat.st_dev,
                (uintmax_t)beat.st_ino);
    if (fd >= 0)
        close(fd);
}

void run_lock_holder(int dirfd, struct run_holder *h)
{
    char text[128] = "";
    uintmax_t dev, ino;
    struct stat beat;
    int fd = openat(dirfd, HOLDER, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0 || sscanf(text, "%ld %36[0-9a-f-] %ju:%ju", &h->pid, h->instance, &dev, &ino) != 4 ||
        fstatat(dirfd, HEARTBEAT, &beat, AT_SYMLINK_NOFOLLOW) != 0 || beat.st_dev != dev ||
        beat.st_ino != ino)
        *h = (struct run_holder){0, ""};
}

int run_lock(int dirfd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(dirfd, HEARTBEAT, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return -1;
    struct stat st;
    int saved = EINVAL; /* something else is in its place */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
            return fd;
        saved = errno == EACCES ? EWOULDBLOCK : errno;
    }
    close(fd);
    errno = saved;
    return -1;
}

bool run_is_locked(int dirfd)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = openat(dirfd, HEARTBEAT, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool locked = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    close(fd);
    return locked;
}
