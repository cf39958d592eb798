/*
 * Why a run, a stage or a command did not succeed, in the words that are written: a run's status_detail
 * and the `reason` of an error file. docs/formats.md explains each; tests/cli/reasons.sh holds that there
 * are no others.
 */
#ifndef CORCH_REASONS_H
#define CORCH_REASONS_H

/* status_detail of a run as a whole */
#define REASON_CANCELED "run-canceled"
#define REASON_RUN_TIMED_OUT "run-timed-out"
#define REASON_STORAGE "storage:error"
#define REASON_MEMORY "memory:error"
#define REASON_RESUMING "resuming"
#define REASON_EXEC "exec-failed"

/* status_detail because of a stage: one of these two, the id of the stage or of its pipeline, and how */
#define REASON_STAGE "stage:"
#define REASON_SUBPIPELINE "subpipeline:"
#define REASON_FAILED ":failed"
#define REASON_TIMED_OUT ":timed-out"
#define REASON_ERROR ":error"

/* reason in errors/NN-id.json */
#define ERROR_COMMAND_FAILED "command-failed"
#define ERROR_COMMAND_TIMED_OUT "command-timed-out"

#endif
