/* SPDX-License-Identifier: MIT */
/* Preloaded into a child: names under .test resolve to what the specs need, whatever this machine's resolver says.
 *   many.test    ::1, 127.0.0.9, 127.0.0.1, in this order
 *   nobody.test  EAI_NONAME
 *   again.test   EAI_AGAIN
 *   slow.test    127.0.0.1, after 300 ms */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One address of a list that is ours to free: the tag tells it from the resolver's. */
struct entry {
  struct addrinfo info;
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } addr;
};

static char tag[] = "asyncwrite";

static struct addrinfo *entry_new(const char *ip, const char *service, struct addrinfo *next) {
  struct entry *e = calloc(1, sizeof *e);
  if (e == NULL) abort();
  uint16_t port = htons((uint16_t)atoi(service));
  if (strchr(ip, ':')) {
    e->addr.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    inet_pton(AF_INET6, ip, &e->addr.v6.sin6_addr);
  } else {
    e->addr.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    inet_pton(AF_INET, ip, &e->addr.v4.sin_addr);
  }
  e->info = (struct addrinfo){
      .ai_family = e->addr.any.sa_family,
      .ai_socktype = SOCK_STREAM,
      .ai_addrlen = e->addr.any.sa_family == AF_INET6 ? sizeof e->addr.v6 : sizeof e->addr.v4,
      .ai_addr = &e->addr.any,
      .ai_canonname = tag,
      .ai_next = next,
  };
  return &e->info;
}

int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict out) {
  if (node && strcmp(node, "nobody.test") == 0) return EAI_NONAME;
  if (node && strcmp(node, "again.test") == 0) return EAI_AGAIN;
  if (node && strcmp(node, "slow.test") == 0) {
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    *out = entry_new("127.0.0.1", service, NULL);
    return 0;
  }
  if (node && strcmp(node, "many.test") == 0) {
    *out = entry_new("::1", service, entry_new("127.0.0.9", service, entry_new("127.0.0.1", service, NULL)));
    return 0;
  }
  int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
  return next(node, service, hints, out);
}

void freeaddrinfo(struct addrinfo *list) {
  if (list && list->ai_canonname != tag) {
    void (*next)(struct addrinfo *);
    *(void **)&next = dlsym(RTLD_NEXT, "freeaddrinfo");
    next(list);
    return;
  }
  while (list) {
    struct addrinfo *after = list->ai_next;
    free(list);
    list = after;
  }
}
