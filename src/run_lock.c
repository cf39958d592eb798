/* Owns the lock of a run. Any thread. */
#include "run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define HEARTBEAT ".heartbeat"

int run_lock(int dirfd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(dirfd, HEARTBEAT, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return -1;
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return fd;
    int saved = errno == EACCES ? EWOULDBLOCK : errno;
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
