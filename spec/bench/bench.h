/* What the C side of the benchmarks shares: limits, clocks, loopback sockets and the two lines the driver reads.
 *
 * Every program prints what it has to say on stdout: "PORT n" first when it listens, and one last line that starts
 * with "RESULT" and holds key=value pairs. Nothing here lives longer than BENCH_SECONDS or than the driver.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ASYNCWRITE_SPEC_BENCH_H
#define ASYNCWRITE_SPEC_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define BENCH_SECONDS 300

static inline void bench_die(const char *what) {
  fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
  exit(1);
}

static inline void bench_check(int ok, const char *what) {
  if (!ok) bench_die(what);
}

/* A peer moves to CPU 0; the driver starts what it measures on CPU 1, so that the two do not share a core. */
static inline void bench_pin_peer(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  (void)sched_setaffinity(0, sizeof set, &set); /* A container may forbid it: then the numbers are only noisier. */
#endif
}

static inline void bench_init(void) {
  struct rlimit limit;
  alarm(BENCH_SECONDS);
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static inline double bench_clock(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* User CPU seconds alone, by getrusage. */
static inline double bench_user(void) {
  struct rusage usage;
  bench_check(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
  return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

/* CPU seconds of this process, user and system: the clock that os.clock reads in Lua. */
static inline double bench_cpu(void) { return bench_clock(CLOCK_PROCESS_CPUTIME_ID); }

static inline double bench_wall(void) { return bench_clock(CLOCK_MONOTONIC); }

static inline void bench_nonblock(int fd) {
  bench_check(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0, "fcntl");
}

static inline void bench_nodelay(int fd) {
  int on = 1;
  bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
}

static inline struct sockaddr_in bench_loopback(int port) {
  struct sockaddr_in addr;
  memset(&addr, 0, sizeof addr);
  addr.sin_family = AF_INET;
  addr.sin_port = htons((uint16_t)port);
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return addr;
}

/* Listens on a loopback port of the kernel's choice and prints it. rcvbuf: of what is accepted, 0 for the default. */
static inline int bench_listen(int rcvbuf) {
  struct sockaddr_in addr = bench_loopback(0);
  socklen_t len = sizeof addr;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bench_check(fd >= 0, "socket");
  if (rcvbuf) bench_check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf) == 0, "SO_RCVBUF");
  bench_check(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0, "bind");
  bench_check(listen(fd, 4096) == 0, "listen");
  bench_check(getsockname(fd, (struct sockaddr *)&addr, &len) == 0, "getsockname");
  printf("PORT %d\n", ntohs(addr.sin_port));
  return fd;
}

static inline int bench_connect(int port) {
  struct sockaddr_in addr = bench_loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bench_check(fd >= 0, "socket");
  bench_check(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0, "connect");
  return fd;
}

static inline void bench_epoll_add(int ep, int fd, uint32_t events, void *ptr) {
  struct epoll_event ev;
  memset(&ev, 0, sizeof ev);
  ev.events = events;
  ev.data.ptr = ptr;
  bench_check(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0, "epoll_ctl");
}

/* Half-closes and waits for the peer's end, so that nothing of one run is still being read in the next. */
static inline void bench_finish(int fd) {
  char byte;
  bench_check(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0, "fcntl");
  shutdown(fd, SHUT_WR);
  while (read(fd, &byte, 1) > 0) continue;
  close(fd);
}

/* The value in kB of a "Vm..." line of /proc/self/status, 0 where there is none. */
static inline long bench_status_kb(const char *key) {
  char line[256];
  long kb = 0;
  FILE *f = fopen("/proc/self/status", "re");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, key, strlen(key)) == 0) kb = strtol(line + strlen(key) + 1, NULL, 10);
  if (f) fclose(f);
  return kb;
}

/* Forgets the peak of the resident set, so that VmHWM speaks of what follows. */
static inline void bench_reset_peak(void) {
  FILE *f = fopen("/proc/self/clear_refs", "we");
  if (f) {
    fputs("5", f);
    fclose(f);
  }
}

static inline int bench_int(int argc, char **argv, int i, int fallback) {
  return i < argc ? (int)strtol(argv[i], NULL, 10) : fallback;
}

static inline double bench_number(int argc, char **argv, int i, double fallback) {
  return i < argc ? strtod(argv[i], NULL) : fallback;
}

#endif
