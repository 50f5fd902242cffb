// The asynchronous context of whoever asked for something (AsyncLocalStorage, traces), kept for what happens to it later: timers
// that many share, sockets that others opened and signals that others abort run in somebody else's.

import { AsyncResource, executionAsyncId } from 'node:async_hooks'

/** Made in the caller's context; `runInAsyncScope` runs a function in it. */
export class CallerContext extends AsyncResource {
  constructor() {
    // What AsyncResource would find out by itself, several times slower.
    super('guru-comms', executionAsyncId())
  }
}
