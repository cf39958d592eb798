/* Descriptors that are let go of. Any thread. */
#ifndef CORCH_FD_H
#define CORCH_FD_H

/* Closes the descriptor, if there is one, and sets it to -1. errno is kept: what is told is why it
 * is closed. */
void fd_close(int *fd);

#endif
