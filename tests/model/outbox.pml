/*
 * How workers (producers) and the persister (consumer) hand records over and wake each other:
 * src/outbox.c, src/wake.c and their callers in capture.c, worker.c, pool.c and persister.c.
 * tests/model/check runs it, intact and with each mechanism taken out.
 *
 * Every access to shared data is a step, in the order of the C code. Memory is sequentially
 * consistent: fences are not looked at. Deadlines that would only cover up a lost wake-up (heartbeat,
 * manifest writes, a command's own time) do not exist, so that it is a deadlock and not a delay.
 *
 * Mechanisms to take out, one at a time:
 *   NO_RECHECK            the persister takes its snapshot after the look
 *   NO_ROOM_RECHECK       so does a producer that finds no buffer
 *   NO_FLAG_RECHECK       sleepers go by the value of the moment instead of their snapshot
 *   NO_FUTEX_COMPARE      the kernel puts to sleep without a look at the word
 *   NO_WAITER_FLAG        sleepers do not say that they sleep
 *   STOP_AFTER_LOOK       the persister reads the stop flag after the look
 *   NO_PUSH_SIGNAL        an awaited start is pushed without a signal
 *   NO_TELL_BEFORE_SLEEP  a producer sleeps for a buffer over quiet pushes
 *   NO_TELL_IN_TIME       nothing tells of quiet pushes while a command runs
 *   NO_TELL_WHEN_IDLE     a worker sleeps for a job over a quiet end
 *   NO_SIGNAL_BEFORE_SLOT a producer sleeps for a slot over quiet pushes
 *   NO_SLOT_SIGNAL        a slot that gets free is not told of
 *   NO_GIVE_SIGNAL        nor is a buffer that comes back
 *   NO_NUDGE              a cancellation does not signal `room`
 *   NO_SLEEP              the persister looks again and again
 *   NO_CANCEL_IN_PUSH     who waits for a slot does not look at the cancellation
 */
#define N 2 /* workers */
#ifndef POOL
#define POOL 2 /* CHUNK_POOL */
#endif
#ifndef TOLD
#define TOLD 3 /* TOLD_CHUNKS; commands that leave some untold can have the whole pool untold */
#endif
#ifndef SLOTS
#define SLOTS 8 /* OUTBOX_SLOTS: a power of two, one stays free */
#endif
#ifndef HALF
#define HALF (SLOTS / 2) /* records left with which a pop signals `room` */
#endif
#define GATHERED 2 /* GATHERED_CHUNKS */
#ifndef JOBS0
#define JOBS0 1 /* commands of worker 0 */
#endif
#ifndef JOBS1
#define JOBS1 1
#endif
#ifndef PLAIN0
#define PLAIN0 false /* see the worker */
#endif
#ifndef CHUNKS0
#define CHUNKS0 3 /* what each of them may print */
#endif
#ifndef CHUNKS1
#define CHUNKS1 0 /* what the one command of worker 1 may print */
#endif

mtype = { LINES, START, AWAITED, END };
#define NONE 255

chan forward[N] = [SLOTS - 1] of { mtype, byte, byte }; /* kind, number, chunk */
chan backward[N] = [POOL] of { byte };

byte pushed[N];  /* records, by their producer; the next one's number */
byte written[N]; /* records the persister is done with: what a reader of the log sees */
byte ended;      /* jobs their submitter has back */

/* Who has a buffer. */
#define IN_POOL 0
#define PRODUCER 1
#define UNDER_WAY 2
#define CONSUMER 3
byte owner[N * POOL];

inline hand_over(i, c, from, to)
{
    assert(owner[(i) * POOL + c] == from);
    owner[(i) * POOL + c] = to
}

bool recorded[N]; /* the semaphore of struct execution */
bool running[N], killed[N];
bool level, nudge[N];
bool stopping, stop;
byte gone;
bool persister_gone, finished;

/*
 * ck_ec32 with one sleeper. What the counter's value is does not matter, only whether it is still the
 * sleeper's snapshot: `moved` says that it is not. (Counters of 31 bits do not come round in a sleep.)
 * A snapshot that is not needed any more is forgotten, which makes equal what differs by nothing else.
 */
#define EVENTCOUNTS (1 + N)
#define WAKE 0           /* struct persister's wake */
#define ROOM(i) (1 + (i)) /* struct outbox's room */
bool moved[EVENTCOUNTS], flagged[EVENTCOUNTS], asleep[EVENTCOUNTS];

/* wake_snapshot: ck_ec32_value */
inline wake_snapshot(e)
{
    moved[e] = false
}

inline forget_snapshot(e)
{
    moved[e] = true
}

/* wake_signal: ck_ec32_inc, one atomic instruction; ck_ec32_wake, which clears the flag and then has
 * the kernel wake */
inline wake_signal(e)
{
    atomic { moved[e] = true; was_flagged = flagged[e] };
    if
    :: was_flagged -> flagged[e] = false; asleep[e] = false; was_flagged = false
    :: else
    fi
}

/* wake_wait: ck_ec32_wait_pred_slow. The flag is set by compare-and-swap, FUTEX_WAIT compares the word
 * with the flagged snapshot; who is woken looks at the value again. */
inline wake_wait(e)
{
#ifdef NO_FLAG_RECHECK
    wake_snapshot(e);
#endif
    do
    :: atomic { moved[e] -> break }
    :: atomic {
           !moved[e] ->
#ifndef NO_WAITER_FLAG
           flagged[e] = true
#endif
       };
       atomic {
           if
#if defined(NO_FUTEX_COMPARE)
           :: asleep[e] = true
#elif defined(NO_WAITER_FLAG)
           :: !moved[e] -> asleep[e] = true
           :: else
#else
           :: !moved[e] && flagged[e] -> asleep[e] = true
           :: else
#endif
           fi
       };
       !asleep[e]
    od
}

/* outbox_push_quietly: ck_ring_enqueue_spsc_record */
inline outbox_push_quietly(kind, c)
{
    atomic {
        if
        :: len(forward[me]) < SLOTS - 1 ->
           if
           :: c != NONE -> hand_over(me, c, PRODUCER, UNDER_WAY)
           :: else
           fi;
           forward[me] ! kind, pushed[me], c;
           pushed[me]++;
           fits = true;
           forget_snapshot(ROOM(me))
        :: else -> fits = false
        fi
    }
}

/* outbox_push_wait, with the outbox_push in it */
inline outbox_push_wait(kind, c)
{
    do
    :: wake_snapshot(ROOM(me));
       outbox_push_quietly(kind, c);
       if
       :: fits ->
          fits = false;
#ifdef NO_PUSH_SIGNAL
          if
          :: kind == AWAITED
          :: else -> wake_signal(WAKE)
          fi;
#else
          wake_signal(WAKE);
#endif
          break
       :: else
       fi;
#ifndef NO_SIGNAL_BEFORE_SLOT
       wake_signal(WAKE);
#endif
       wake_wait(ROOM(me))
    od
}

/* push_quietly of worker.c */
inline push_quietly(kind, c)
{
    outbox_push_quietly(kind, c);
    if
    :: fits -> fits = false
    :: else -> outbox_push_wait(kind, c)
    fi
}

/* tell_persister of capture.c */
inline tell_persister()
{
    wake_signal(WAKE);
    tell_set = false;
    untold = 0
}

/* carry_out_cancel of capture.c, proc_signal with it */
inline carry_out_cancel()
{
    atomic {
        if
        :: level -> killed[me] = true
        :: else
        fi
    }
}

/* outbox_take */
inline outbox_take()
{
    atomic {
        if
        :: spare != NONE -> chunk = spare; spare = NONE
        :: spare == NONE && len(backward[me]) > 0 ->
           backward[me] ? chunk;
           hand_over(me, chunk, IN_POOL, PRODUCER)
        :: else -> chunk = NONE
        fi
    }
}

/* take_chunk of capture.c */
inline take_chunk()
{
    do
#ifdef NO_ROOM_RECHECK
    :: outbox_take();
       wake_snapshot(ROOM(me));
#else
    :: wake_snapshot(ROOM(me));
       outbox_take();
#endif
       if
       :: chunk != NONE -> forget_snapshot(ROOM(me)); break
       :: else
       fi;
#ifndef NO_TELL_BEFORE_SLEEP
       tell_persister();
#endif
       carry_out_cancel();
       wake_wait(ROOM(me))
    od
}

/* push and wait_for_room of capture.c */
inline push()
{
    do
    :: wake_snapshot(ROOM(me));
       outbox_push_quietly(LINES, chunk);
       if
       :: fits -> fits = false; forget_snapshot(ROOM(me)); break
       :: else
       fi;
       tell_persister();
#ifndef NO_CANCEL_IN_PUSH
       carry_out_cancel();
#endif
       wake_wait(ROOM(me))
    od;
    chunk = NONE;
    untold++;
    if
    :: untold >= TOLD -> tell_persister()
    :: else -> tell_set = true
    fi
}

/* capture_run of capture.c: emit; tell_in_time (what emit_aged tells is this after an emit); wait_for,
 * whose nudge_fd stays readable until it has been read. */
inline capture_run()
{
    untold = 0;
    tell_set = true;
#ifdef SLOW_DISK
    running[me] = true;
#endif
    do
    :: chunks > 0 ->
       take_chunk();
       chunks--;
       if
       :: push()
       :: !untaken && !plain -> spare = chunk; chunk = NONE; untaken = true /* outbox_untake */
       fi
#ifndef NO_TELL_IN_TIME
    :: tell_set -> tell_persister()
#endif
    :: atomic { nudge[me] -> nudge[me] = false }; carry_out_cancel()
    :: atomic { !watched || killed[me] || written[me] == pushed[me] -> break }
    od;
#ifdef SLOW_DISK
    running[me] = false
#endif
}

/* worker_main: next_job of pool.c, worker_run of worker.c. A plain one does only what is usual in large
 * runs: start and end pushed quietly. */
proctype worker(byte me; byte jobs; byte printed; bool plain)
{
    bool was_flagged, fits, tell_set, untaken, watched;
    byte chunk = NONE, spare = NONE, untold, chunks;

    do
    :: jobs > 0 ->
       jobs--;
       if
       :: level -> atomic { ended++ } /* cancel_halted */
       :: !level ->
          /* record_start: "running" is awaited, or pushed quietly */
          if
          :: !plain ->
             outbox_push_wait(AWAITED, NONE);
             atomic { recorded[me] -> recorded[me] = false }
          :: push_quietly(START, NONE)
          fi;
          /* The command prints up to so much. It ends by itself, or when it is killed, or because
           * somebody has seen all that it printed, and that it runs: quiet pushes come through while
           * the command runs. */
          chunks = printed;
          if
          :: !plain -> watched = true
          :: watched = false
          fi;
          capture_run();
          atomic { chunks = 0; watched = false; untaken = false; tell_set = false; untold = 0 };
          /* record_end */
          if
          :: push_quietly(END, NONE)
          :: !plain -> outbox_push_wait(END, NONE)
          fi
       fi;
       /* next_job: the queue is half empty, or not */
       if
       :: jobs > 0 -> wake_signal(WAKE)
       :: jobs > 0
       :: jobs == 0
       fi
    :: else -> break
    od;
#ifndef NO_TELL_WHEN_IDLE
    wake_signal(WAKE); /* next_job: worker_tell before it sleeps for work */
#endif
    stopping;
    atomic {
        assert(len(backward[me]) + (spare != NONE -> 1 : 0) <= POOL);
        if
        :: spare != NONE -> hand_over(me, spare, PRODUCER, IN_POOL) /* for the count at the end */
        :: else
        fi;
        gone++
    }
}

/* outbox_pop, and gather of persister.c */
inline outbox_pop(i)
{
    atomic {
        if
        :: len(forward[i]) > 0 ->
           forward[i] ? kind, number, chunk;
           assert(number == expected[i]); /* none is lost, and in order */
           number = 0;
           expected[i]++;
           if
           :: kind == LINES ->
              hand_over(i, chunk, UNDER_WAY, CONSUMER);
              chunks[gathered] = chunk;
              gathered++
           :: else
           fi;
           chunk = 0;
           found = true;
           any = true
        :: else -> found = false
        fi
    };
    if
#ifndef NO_SLOT_SIGNAL
    :: found && len(forward[i]) <= HALF -> wake_signal(ROOM(i))
#endif
    :: else
    fi
}

/* outbox_give */
inline outbox_give(i, c)
{
    atomic {
        hand_over(i, c, CONSUMER, IN_POOL);
        assert(len(backward[i]) < POOL);
        backward[i] ! c
    };
#ifndef NO_GIVE_SIGNAL
    wake_signal(ROOM(i))
#endif
}

/* write_gathered; the disk may be so slow that only a cancellation ends it for who waits for it */
inline write_gathered(i)
{
#ifdef SLOW_DISK
    if
    :: true
    :: running[i] -> !running[i] || killed[i]
    fi;
#endif
    atomic { written[i] = written[i] + gathered };
    sent = 0;
    do
    :: sent < gathered -> outbox_give(i, chunks[sent]); sent++
    :: else -> break
    od;
    atomic { sent = 0; gathered = 0; chunks[0] = 0; chunks[1] = 0 }
}

/* apply: end_recorded at once, start_recorded when the manifest is written */
inline apply(i)
{
    atomic {
        if
        :: kind == AWAITED -> waiting[i] = true
        :: kind == END -> ended++
        :: else
        fi;
        kind = LINES;
        written[i]++
    }
}

/* drain */
inline drain(i)
{
    kind = LINES;
    do
    :: kind == LINES && gathered < GATHERED ->
       outbox_pop(i);
       if
       :: found -> found = false
       :: else -> break
       fi
    :: else -> break
    od;
    if
    :: gathered > 0 -> write_gathered(i)
    :: else
    fi;
    if
    :: kind != LINES -> apply(i)
    :: else
    fi
}

/* tend: the manifest is written, who waits for it is answered */
inline tend()
{
    atomic {
        if
        :: waiting[0] -> waiting[0] = false; recorded[0] = true
        :: else
        fi;
        if
        :: waiting[1] -> waiting[1] = false; recorded[1] = true
        :: else
        fi
    }
}

/* persister_main; the loop in it is `while (drain_round(p)) tend(p);` */
proctype persister()
{
    bool was_flagged, found, any, seen_stop, waiting[N];
    mtype kind;
    byte number, chunk, gathered, sent, chunks[GATHERED], expected[N];

    do
    ::
#ifndef NO_RECHECK
       wake_snapshot(WAKE);
#endif
#ifndef STOP_AFTER_LOOK
       seen_stop = stop;
#endif
       do
       :: any = false;
          drain(0);
          drain(1);
          tend();
          if
          :: any
          :: else -> break
          fi
       od;
#ifdef STOP_AFTER_LOOK
       seen_stop = stop;
#endif
#ifdef NO_RECHECK
       wake_snapshot(WAKE);
#endif
       if
       :: seen_stop -> break
       :: else
       fi;
#ifdef NO_SLEEP
       skip
#else
       wake_wait(WAKE)
#endif
    od;
    persister_gone = true
}

/* cancel_raise and pool_nudge */
proctype canceller()
{
    bool was_flagged;

    level = true;
    nudge[0] = true;
#ifndef NO_NUDGE
    wake_signal(ROOM(0));
#endif
    nudge[1] = true;
#ifndef NO_NUDGE
    wake_signal(ROOM(1))
#endif
}

/* The driving thread: hears of the end of all jobs, or does not wait for it, and stops pool and persister. */
init
{
    bool was_flagged;
    byte i;

    atomic {
        for (i : 0 .. POOL - 1) {
            backward[0] ! i;
            backward[1] ! i
        }
        for (i : 0 .. N) {
            forget_snapshot(i)
        }
        i = 0;
#ifdef CANCEL
        run canceller(); /* which may come too late */
#endif
#ifdef STOPS_EARLY
        stopping = true; /* pool_stop: what is queued is done nevertheless */
#endif
        run persister();
        run worker(0, JOBS0, CHUNKS0, PLAIN0);
        run worker(1, JOBS1, CHUNKS1, true)
    };
    atomic { stopping || ended == JOBS0 + JOBS1 -> stopping = true }; /* pool_stop */
    gone == N;
    stop = true; /* persister_stop */
    wake_signal(WAKE);
    atomic {
        persister_gone;
        assert(ended == JOBS0 + JOBS1);
        for (i : 0 .. N - 1) {
            assert(len(forward[i]) == 0 && written[i] == pushed[i])
        }
        for (i : 0 .. N * POOL - 1) {
            assert(owner[i] == IN_POOL)
        }
        finished = true
    }
}

#ifdef LIVENESS
ltl ends { <> finished } /* nobody turns round for ever, however unfair the scheduler is */
#endif
