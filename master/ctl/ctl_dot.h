/*
 * ctl_dot.h: text within DOT (https://graphviz.org/doc/info/lang.html).
 *
 * Runs in platoonctl. Pure.
 */
#ifndef MASTER_CTL_CTL_DOT_H
#define MASTER_CTL_CTL_DOT_H

#include "common/buffer.h"

/* A name in its quotes, or what stands between some; what would end them, and control bytes, become '?'. */
void ctl_dot_text(struct buffer *out, const char *text);
void ctl_dot_name(struct buffer *out, const char *name);

#endif
