/* SPDX-License-Identifier: MIT */
/* The bridge: for hosts that can wait for a byte on a socket, and for nothing else of ours (nginx). */
#ifndef AW_BRIDGE_H
#define AW_BRIDGE_H

#include "asyncwrite.h"

typedef struct aw_bridge aw_bridge;

/* Listens at a new path in folder, for aw_bridge_accept. UV_ENOTSUP where there is no epoll. */
int aw_bridge_new(aw_bridge **out, aw_reactor *reactor, const char *folder);
const char *aw_bridge_path(const aw_bridge *bridge);

/* To be called when this process has connected to the path: the thread starts. UV_EAGAIN: nobody of ours has. */
int aw_bridge_accept(aw_bridge *bridge);

/* Before a turn of the loop: a wake from here on sends a byte again. */
void aw_bridge_clear(aw_bridge *bridge);

/* After a turn: the byte comes when the loop has something to do, at the latest after most milliseconds (-1: none). */
int aw_bridge_arm(aw_bridge *bridge, int most);

/* When the task that runs may have made a timer: the loop's descriptor is armed already. */
int aw_bridge_arm_timer(aw_bridge *bridge, int most);

void aw_bridge_wake(aw_bridge *bridge); /* sends the byte, once between two clears */
void aw_bridge_free(aw_bridge *bridge); /* joins the thread */

#endif
