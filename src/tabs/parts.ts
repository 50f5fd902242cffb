// What a shared connection is made of: in pages what browsers have, in tests what tests have.

import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { OutboxStore } from '../session/store.ts'
import type { Tabs } from './browserTabs.ts'
import type { Line } from './Leader.ts'
import type { MarkedOutbox } from './originOutbox.ts'
import type { BacklogLimits } from './outgoing.ts'

export interface SharedParts {
  readonly tabs: Tabs
  readonly connect: (storage: OutboxStore) => Line
  /** @param takeOver takes the outbox from an owner that hangs */
  readonly makeOutbox: (takeOver: boolean) => MarkedOutbox
  readonly limits: BacklogLimits
  readonly clock: Clock
  readonly random: Random
  /** What the connection would fetch when it starts: named here, bundlers keep it in the page's own code. */
  readonly code?: unknown
}
