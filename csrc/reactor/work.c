/* SPDX-License-Identifier: MIT */
/* Work on libuv's thread pool. */
#include "reactor/work.h"
#include "reactor/reactor.h"
#include "reactor/signals.h"

static void on_run(uv_work_t *req) {
  struct aw_work *work = req->data;
  work->run(work);
}

static void on_done(uv_work_t *req, int status) {
  struct aw_work *work = req->data;
  (void)status;
  aw_reactor_returned(work->reactor);
  work->done(work);
}

int aw_work_start(struct aw_work *work, aw_reactor *reactor) {
  int rc = aw_reactor_usable(reactor);
  if (rc < 0) return rc;
  work->reactor = reactor;
  work->req.data = work;
  sigset_t before;
  aw_signals_block(&before);
  rc = uv_queue_work(reactor->loop, &work->req, on_run, on_done);
  aw_signals_restore(&before);
  if (rc == 0) reactor->requests++;
  return rc;
}
