// What the connections of one session server may cost it, all of them together: memory, and time.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import { FairReads } from './FairReads.ts'
import { MemoryBudget } from './MemoryBudget.ts'
import type { RefusalLog } from './refusals.ts'

export interface WatchOptions {
  readonly maxTotalBufferedBytes: number
  readonly controlsPerSecond: number
  readonly clock: Clock
  readonly addressOf: (request: IncomingMessage) => string
}

export class ConnectionWatch {
  readonly budget: MemoryBudget
  readonly controlsPerSecond: number
  readonly now: () => number
  readonly #reads = new FairReads()
  readonly #refusals: RefusalLog

  readonly addressOf: (request: IncomingMessage) => string

  constructor(options: WatchOptions, refusals: RefusalLog) {
    const { maxTotalBufferedBytes, controlsPerSecond, clock } = options
    this.addressOf = options.addressOf
    this.controlsPerSecond = controlsPerSecond
    this.now = () => clock.now()
    this.#refusals = refusals
    const option = 'maxTotalBufferedBytes'
    this.budget = new MemoryBudget(maxTotalBufferedBytes, ({ owner }, bytes) =>
      refusals.tell({ reason: `${bytes} bytes held for it are given up`, option, came: owner }),
    )
  }

  /** Reads it in turn with those of other owners. */
  read(socket: WebSocket, tcp: Duplex, owner: string): void {
    this.#reads.add({ tcp, isHeld: () => socket.isPaused }, owner)
  }

  /** Says who was closed for what option, for the log. */
  tell(reason: string, option: string, owner: string): void {
    this.#refusals.tell({ reason, option, came: owner })
  }
}
