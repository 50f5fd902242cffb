// The asynchronous context of whoever asked for something (AsyncLocalStorage, traces), kept for what happens to it later: timers
// that many share, sockets that others opened and signals that others abort run in somebody else's.

import { AsyncResource, executionAsyncId } from 'node:async_hooks'
import type { CallerContext as Context } from './callerContext.ts'

class NodeContext extends AsyncResource {
  constructor() {
    // What AsyncResource would find out by itself, several times slower.
    super('guru-comms', executionAsyncId())
  }
}

// Declared without a word of Node: the types that pages read come by here, too.
/** Made in the caller's context; `runInAsyncScope` runs a function in it. */
export const CallerContext: new () => Context = NodeContext
export type CallerContext = Context
