// What grows in the section `scale`, and the figures it keeps.

import type { Day } from '../workers/day.ts'
import type { ItemCost } from '../workers/scaleItems.ts'

export const items = {
  map: 'a bare Map',
  'limiter-roomy': 'limiter with room for all endpoints',
  'limiter-default': 'limiter that keeps 10,000 endpoints (default)',
  'queue-plain': 'queue of a plain connection',
  'queue-session': 'queue of a session',
} as const

export type Item = keyof typeof items

export interface ConnectionCost {
  count: number
  /** Heap bytes each. */
  heap: number
  /** Memory of the process. */
  rss: number
  /** CPU microseconds a second and connection while it is idle; `null` where so few are not to be told from nothing. */
  idleUs: number | null
  /** CPU microseconds a message and its echo, a thousand a second over all of them in turn. */
  messageUs: number
}

export interface ScaleData {
  connections: ConnectionCost[]
  /** Sizes that the limit on open files did not allow. */
  tooMany: number[]
  items: Record<Item, ({ count: number } & ItemCost)[]>
  days: { plain: Day; session: Day }
}
