/*
 * Every limit of the program, with what too low and too high would cost.
 * Memory of a run = workers * (CHUNK_POOL * sizeof(struct chunk) + outbox + 2 streams)
 *                   + a constant + 1 to 2 KiB per stage, and 4 KiB more when the run has ended.
 */
#ifndef CORCH_BOUNDS_H
#define CORCH_BOUNDS_H

#include <assert.h>
#include <stddef.h>
#include <sys/types.h>

/* Bytes asked of F_SETPIPE_SZ: too low wakes us for every write of a chatty command, too high is
 * refused without privilege (/proc/sys/fs/pipe-max-size) and then the kernel's default stays. */
#define PIPE_BYTES ((size_t)1024 * 1024)

/* Bytes found in a pipe at once from which on it is to hold more: a pipe has 64 KiB at first. */
#define CHATTY_BYTES ((ssize_t)16 * 1024)

/* Bytes of output that make one chunk: too low costs a line of framing and a hand-over each,
 * too high leaves the cache. */
#define STREAM_BYTES ((size_t)64 * 1024)

/* Bytes of a chunk buffer for encoded lines. ASCII text with short lines grows by a few per cent;
 * what grows more is split over several chunks. */
#define CHUNK_BYTES ((size_t)128 * 1024)

/* Bytes kept free before the data of a chunk for the head of its line. */
#define CHUNK_HEAD ((size_t)512)

/* Bytes of a chunk that is not UTF-8 which are encoded into one line: every byte may become
 * six (escaped) and another 4/3 (base64). */
#define CHUNK_BINARY_BYTES ((size_t)16 * 1024)

/* Chunk buffers per worker: too few and the worker waits for every write of the persister,
 * too many only use memory. */
#define CHUNK_POOL 16u

/* Chunks of a command that are written by one call, if so many have come: a file system does larger
 * writes at half the price. More would hold back buffers that the worker could fill. */
#define GATHERED_CHUNKS 8u

/* Chunks after which a worker wakes the persister; for fewer, it does when the oldest is CHUNK_AGE_NS
 * old. Too few and each is written alone. */
#define TOLD_CHUNKS 4u

/* Slots of an outbox (a power of two, one of them stays free). */
#define OUTBOX_SLOTS 64u

/* Records a worker may have under way that are no chunks: start, end and a reserve. */
#define OUTBOX_MUTATIONS 8u

/* Bytes kept of the end of each stream for summaries and error details. */
#define TAIL_BYTES ((size_t)64 * 1024)

/* UTF-16 units of a command's summary, and of a text in an error file. */
#define SUMMARY_UNITS ((size_t)240)
#define ERROR_DETAIL_UNITS ((size_t)8 * 1024)

/* The oldest byte of an unfinished chunk: longer feels dead to a person who watches. */
#define CHUNK_AGE_NS ((long long)10 * 1000 * 1000)

/* From a command's start to waking the persister for it, where nobody waits for that: long enough for
 * commands that do next to nothing, and too short to be missed in `status`. */
#define TELL_NS ((long long)5 * 1000 * 1000)

/* After a short read: how long to leave the pipe alone, so that it fills and its writer finds no
 * sleeping reader to wake. */
#define NAP_MIN_NS ((long long)200 * 1000)
#define NAP_MAX_NS ((long long)1000 * 1000)

/* From a command's start to the first look at its pipes, unless it exits before: one that does little
 * is over by then, and we have slept once instead of three times. What it prints is held up by less
 * than CHUNK_AGE_NS anyway. */
#define FIRST_NAP_NS ((long long)2 * 1000 * 1000)

/* How long output is awaited after a command's exit while somebody else holds its pipes. */
#define DRAIN_GRACE_MS 2000

/* The same once its process group has been killed: who holds them then has left the group. */
#define KILL_DRAIN_MS 500

/* How long the zombies of what commands have left behind may stay: while there are none, and when there
 * have just been some. */
#define BURY_MS 200
#define BURY_AGAIN_MS 10

/* After a signal: how long the program shows what a run has printed that is over; and from the signal on
 * which it should have been over, at once or after the grace time, how long it waits before it ends itself
 * without. Then a disk hangs, or a command can't be killed. */
#define SHOW_ON_MS 2000
#define GIVE_UP_MS 5000

/* How long `resume` waits for the lock of a run before it is said to be held: what a killed process was
 * just starting lets go of it at once. */
#define LOCK_PATIENCE_NS ((long long)500 * 1000 * 1000)

/* From SIGTERM to SIGKILL when a run is cancelled. */
#define CANCEL_GRACE_MS 5000

/* The same if another orchestrator has started us: its SIGKILL must not come before our end. */
#define CANCEL_GRACE_NESTED_MS 4000

/* Heartbeat, and after how long without one a run counts as stale; both are in the manifest. */
#define HEARTBEAT_SECONDS 5
#define HEARTBEAT_STALE_SECONDS 30

/* A coalesced manifest write waits this many times what the last one took: 20 bounds the
 * manifest's share of the wall time to 5 %. */
#define COALESCE_FACTOR 20

/* From a change to its manifest write, unless somebody waits for it: long enough for the next
 * command's start to join its predecessor's end, short enough for whoever looks at the file. A
 * millisecond for each stage, if that is more: with the time that many stages take, the bytes
 * written are in proportion to their number, not to its square. */
#define COALESCE_MS 100

/* Up to so many stages a command starts when the manifest that says so is on disk. In larger runs it
 * does not wait: a run of thousands of short commands would mostly write manifests. */
#define AWAITED_STAGES ((size_t)64)

/* Failed stages that have a line in the summary of their run; the rest are counted. */
#define SUMMARY_FAILURES 20u

/* Bytes of one read of a file that is read whole. */
#define READ_BLOCK ((size_t)64 * 1024)

/* UTF-16 units of a batch command in its title. */
#define BATCH_TITLE_UNITS ((size_t)80)

/* How long a failing manifest write is tried again before the run ends as failed, and the pause
 * between two tries. */
#define WRITE_RETRY_MS 10000
#define WRITE_RETRY_PAUSE_MS 100

/* The same for a run that is to end: it has the grace time of its commands and a second. */
#define WRITE_RETRY_ENDING_MS 1000

/* Commands at once: each worker has a thread, up to eight descriptors and its part of the memory above. */
#define JOBS_MAX 1024

/* Jobs queued for each worker: what it does next is there when it is done, and whoever fills the queue
 * is woken when half of it is empty. Too many would start what a failure makes pointless; they look
 * for that before they start. */
#define QUEUED_PER_WORKER 8u

/* Descriptors a worker may have open at once, its command's log with them, and those of the rest. */
#define WORKER_DESCRIPTORS 8
#define RUN_DESCRIPTORS 44

/* Descriptors of a subpipeline's run. With nothing left for one more it waits, unless nothing else goes
 * on: then the reserve is there for those that lie within each other. */
#define SUBRUN_DESCRIPTORS 7

/* A stage's timeoutSeconds, retries and retryDelayMs: beyond these a number is a slip. The delay
 * doubles with each attempt, up to the same limit. */
#define TIMEOUT_MAX_SECONDS 10000000
#define RETRIES_MAX 1000
#define RETRY_DELAY_MS 1000
#define RETRY_DELAY_MAX_MS 3600000

/* Bytes of decision lines gathered before they are written to privacy-decisions.ndjson. */
#define DECISIONS_BYTES ((size_t)8 * 1024)

/* Privacy decisions kept in the manifest; the log has all of them. */
#define MANIFEST_DECISIONS 1000u

/* Runs kept in out/<task>/runs.json. */
#define HISTORY_RUNS 500u

/* Largest JSON document that is read (configuration, manifest, history). */
#define JSON_FILE_BYTES ((size_t)256 * 1024 * 1024)

/* Warnings about a configuration that are kept; the rest are counted. Each one scans the file for
 * its line, and nobody reads hundreds. */
#define CONFIG_WARNINGS ((size_t)20)

/* Log lines a watcher may be behind, and, counted separately, states. */
#define WATCH_FRAMES 64u

/* Running stages that a state lists for watchers: with more than that every state would cost the
 * persister more than what it is about. */
#define STATE_RUNNING 64u

/* Bytes of a line of output that are shown in one piece behind the stage's prefix: too low tears
 * long lines apart, too high is kept for each stream of each command that runs. */
#define SHOWN_LINE_BYTES ((size_t)64 * 1024)

static_assert((OUTBOX_SLOTS & (OUTBOX_SLOTS - 1)) == 0, "a ring's size is a power of two");
static_assert(OUTBOX_SLOTS > CHUNK_POOL + OUTBOX_MUTATIONS,
              "an outbox holds every chunk of its worker and its usual mutations: a push seldom waits");
static_assert(GATHERED_CHUNKS + TOLD_CHUNKS < CHUNK_POOL,
              "a worker has buffers to fill while others are written and some wait to be told of");
static_assert(CHUNK_BYTES >= CHUNK_HEAD + CHUNK_BINARY_BYTES * 6 + CHUNK_BINARY_BYTES * 4 / 3 + 512,
              "a binary chunk fits its buffer in the worst case");
static_assert(CHUNK_BYTES > STREAM_BYTES, "plain text fits without a split");
static_assert(TAIL_BYTES >= ERROR_DETAIL_UNITS * 4, "the tail covers an error detail");

#endif
