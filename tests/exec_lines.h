/* Lines of a command's log, as the program writes them. */
#ifndef TESTS_EXEC_LINES_H
#define TESTS_EXEC_LINES_H

#define BEGIN                                                                                  \
    "{\"type\":\"exec:begin\",\"correlation_id\":\"c-1\",\"attempt\":1,\"command\":\"echo 'a " \
    "b'\","                                                                                    \
    "\"args\":[],\"cwd\":\"/r\",\"session_id\":\"s-1\",\"sandbox_state\":\"sandboxed\","       \
    "\"persisted\":false,\"timestamp\":\"2026-11-22T17:08:00.000Z\",\"index\":1}"
#define CHUNK_HEAD_OF(stream, sequence)                                                      \
    "{\"type\":\"exec:chunk\",\"correlation_id\":\"c-1\",\"attempt\":1,\"stream\":\"" stream \
    "\",\"sequence\":" sequence ",\"bytes\":4,"
#define CHUNK_END ",\"timestamp\":\"2026-11-22T17:08:00.100Z\",\"index\":1}"
#define CHUNK(stream, sequence, data) \
    CHUNK_HEAD_OF(stream, sequence) "\"data\":\"" data "\"" CHUNK_END
#define END                                                                            \
    "{\"type\":\"exec:end\",\"correlation_id\":\"c-1\",\"attempt\":1,\"exit_code\":0," \
    "\"signal\":null,\"duration_ms\":150,\"status\":\"succeeded\","                    \
    "\"timestamp\":\"2026-11-22T17:08:00.150Z\",\"index\":1}"

#endif
