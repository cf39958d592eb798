/*
 * The library in one page: runs a pipeline of the current folder's codex.orchestrator.json, prints
 * what its commands print as they do it, and says how it ended.
 *
 *     cc example.c $(pkg-config --cflags --libs corch) && ./a.out [pipeline]
 */
#include <corch.h>
#include <stdio.h>

/* Output goes where the command sent it; a state is worth a line. */
static void show(const corch_frame *f)
{
    if (f->lost > 0) /* we were too slow to see them; the run's log has them all */
        fprintf(stderr, "(%llu frames missed)\n", (unsigned long long)f->lost);
    if (f->kind == CORCH_FRAME_CHUNK)
        fwrite(f->data, 1, f->size, f->stream == 1 ? stdout : stderr);
    else if (f->kind == CORCH_FRAME_STATE && f->stage > 0)
        fprintf(stderr, "stage %zu: %s\n", f->stage, f->status);
}

static int report(const corch_result *r)
{
    fprintf(stderr, "run %s: %s%s%s\n", r->run_id, r->status_name, r->status_detail ? ", " : "",
            r->status_detail ? r->status_detail : "");
    for (const char *const *warning = r->warnings; *warning; warning++)
        fprintf(stderr, "warning: %s\n", *warning);
    return r->status == CORCH_SUCCEEDED ? 0 : 1;
}

int main(int argc, char **argv)
{
    corch_error e;
    corch_config *config = corch_config_load(NULL, NULL, &e);
    corch_options options = {.pipeline = argc > 1 ? argv[1] : NULL, .watch = 1};
    corch_run *run = config ? corch_run_start(config, &options, &e) : NULL;
    if (!run) {
        fprintf(stderr, "%s\n", e.text);
        corch_config_free(config);
        return 2;
    }
    corch_frame frame;
    while (corch_run_next(run, &frame, -1) == 1) /* until the run is over */
        show(&frame);
    int code = report(corch_run_wait(run));
    corch_run_free(run);
    corch_config_free(config);
    return code;
}
