/* The commands of the program: options in, one library call, exit code out. Main thread. */
#ifndef CORCH_COMMANDS_H
#define CORCH_COMMANDS_H

#define EXIT_OK 0
#define EXIT_RUN_FAILED 1
#define EXIT_NOT_RUN 2 /* usage, configuration, unknown run, refused token */
#define EXIT_EXEC_FAILED 125 /* of `exec`: what failed is not the command */

/* argv are the words behind the command's name. */
int cmd_start(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_batch(int argc, char **argv); /* exec --batch */

#endif
