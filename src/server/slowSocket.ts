// WebSockets whose messages come late while latency is switched on: whatever they mean, pings of a session too, and in
// order also when it is switched off again.

import { WebSocket } from 'ws'
import type { Faults } from './faults.ts'

/** A class of WebSockets for a `WebSocketServer`, as late as `faults` says. */
export function slowSockets(faults: Faults): typeof WebSocket {
  return class SlowSocket extends WebSocket {
    /** Resolves when all that is held back has been handed over. */
    #inbox: Promise<void> = Promise.resolve()
    #heldBack = 0

    override emit(name: string | symbol, ...args: unknown[]): boolean {
      const delay = name === 'message' ? faults.delay() : undefined
      if (name !== 'message' || (!delay && this.#heldBack === 0)) return super.emit(name, ...args)
      this.#heldBack += 1
      this.#inbox = Promise.all([this.#inbox, delay]).then(() => {
        this.#heldBack -= 1
        super.emit(name, ...args)
      })
      return true
    }
  }
}
