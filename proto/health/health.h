/*
 * health.h: the lists of the health worker: /livez, /readyz and /metrics over HTTP.
 *
 * What the columns of each list mean: proto/systems.h.
 */
#ifndef PROTO_HEALTH_HEALTH_H
#define PROTO_HEALTH_HEALTH_H

/* clang-format off */
#define HEALTH_KEYS(X) \
    X(PLATOON, "health", STRING, "", 0, 0, LIVE, \
      "where /livez, /readyz and /metrics are served over HTTP: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; empty: " \
      "nowhere")

#define HEALTH_CHECKS(X) \
    X(PLATOON, health)

#define HEALTH_PREFLIGHTS(X) \
    X(PLATOON, health)

#define HEALTH_TYPES(X) \
    X(HEALTH, "health", PLATOON, health, ITSELF, "health", "", "answers probes and Prometheus over HTTP")

#define HEALTH_SETTINGS(X) \
    X("health.listen")

#define HEALTH_EXTRAS(X) \
    X(HEALTH, health)
/* clang-format on */

#endif
