/*
 * The logs of a run and of all its subpipelines as one: their lines in the order of their time
 * stamps, while the run goes on. The files are the buffer: a reader who is late loses nothing and
 * holds nothing up. Takes one descriptor and one block of memory for all logs together. One thread.
 *
 *     Until the run is over and follow_next gives no line: follow_next until it gives none; poll
 *     follow_fds; when one of them is readable follow_awake, and again.
 */
#ifndef CORCH_FOLLOW_H
#define CORCH_FOLLOW_H

#include <poll.h>

#include "corch.h"
#include "exec_event.h"

#define FOLLOW_NONE ((size_t)-1)

struct follow;

/* For a run, from the beginning of this session on. NULL with errno. */
struct follow *follow_new(corch_run *run);
void follow_free(struct follow *f);

/*
 * The next line of any log; it lives until the next call. `over`: the run is, so that nothing more
 * will be written. 1: `*part` is its run's number as in corch_run_part, `*line` the line taken
 * apart; 0: there is none, for now; -1 with errno: a log can't be read.
 */
int follow_next(struct follow *f, bool over, size_t *part, const struct exec_line **line);

/* A run that has given a line, or the parent of one; and the number of its parent, FOLLOW_NONE: it
 * is the run that was started. */
const corch_part *follow_part(const struct follow *f, size_t i);
size_t follow_parent(const struct follow *f, size_t i);

/* Fills in the descriptors to poll for reading; of NULL there is none. */
enum { FOLLOW_FDS = 2 };
void follow_fds(const struct follow *f, struct pollfd fds[FOLLOW_FDS]);

/* Before the logs are looked at again: what the descriptors have said is taken as heard. */
void follow_awake(struct follow *f);

#endif
