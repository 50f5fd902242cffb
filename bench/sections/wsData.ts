// The loads of the WebSocket section, and the figures it keeps.

import type { Contest } from '../harness/rounds.ts'

export const wsTasks = {
  down: 'Flood down: a server that streams',
  echo: 'Echo: one message there and back at a time',
  up: 'Flood up: 50 messages a turn of the event loop',
} as const

export type WsTaskName = keyof typeof wsTasks

export interface WsData {
  contests: Record<WsTaskName, Contest>
  /** Median heap bytes per message. */
  allocation: Record<string, Record<WsTaskName, number>>
}
