/* Signals that ask us to end, read from a descriptor. Main thread, before any other is started. */
#ifndef CORCH_SIG_H
#define CORCH_SIG_H

/* Blocks SIGINT, SIGTERM and SIGHUP, unless the caller had them ignored (nohup), and ignores
 * SIGPIPE. Returns a descriptor that is readable when one has come, or -1 with errno. */
int sig_open(void);

/* The signal that has come; 0: none. */
int sig_read(int fd);

/* From now on they end the process as they come; `first`, which has come already, does so in `ms` (0: none
 * has). */
void sig_release(int first, long ms);

/* Ends the process by that signal, so that whoever called us sees it. */
void sig_die(int signal);

#endif
