/* What the parts of a configuration say of each other: which stages need which, which pool they
 * take from, which pipelines contain which. Only while it is loaded; main thread. */
#ifndef CORCH_CONFIG_LINKS_H
#define CORCH_CONFIG_LINKS_H

#include "config.h"
#include "config_reader.h"
#include "named.h"

/* The root's "pools" into `c`. This and the next: 0, or -1 with the reader's err set. */
int links_read_pools(struct reader *r, cJSON *pools, struct config *c);

/* Finds the stages and pools that p's stages name, and refuses stages that wait for themselves.
 * `ids` has the stages by id, with their JSON. */
int links_resolve(struct reader *r, const struct config *c, struct pipeline *p,
                  const struct named_list *ids);

/* Refuses pipelines that contain themselves. `list` is the JSON of c's pipelines. */
int links_check_subpipelines(struct reader *r, const struct config *c, const cJSON *list);

#endif
