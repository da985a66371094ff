/*
 * drain_calls.h: what other systems may name of a drain: its sections, whose sets they add to.
 *
 * Included by the lists and the checks of systems that are given the title of one.
 */
#ifndef PROTO_DRAIN_DRAIN_CALLS_H
#define PROTO_DRAIN_DRAIN_CALLS_H

#define DRAIN_CALLS_SECTION CONFIG_DRAIN

#endif
