// The trials of the section `reconnect`, and the figures it keeps.

import type { Talk } from '../workers/reconnect.ts'

/** How long something took for each of many clients, in milliseconds. */
export interface Waits {
  /** Those that had not come to it when the trial ended. */
  missing: number
  /** The others, ascending. */
  waits: number[]
}

export const talks: Record<Talk, string> = {
  sending: 'sends ten messages a second, which nothing comes back for',
  conversing: 'sends ten messages a second, each of which is answered',
  silent: 'says nothing',
}

/** One restart of the server of a fleet. */
export interface Restart {
  /** Connections in the busiest 100 ms, as a share of the fleet; the same with the requests that came besides. */
  peak: number
  peakOfAll: number
  /** Milliseconds from the server's return to the last connection. */
  lastMs: number
  missing: number
}

export interface ReconnectData {
  /** By contestant and seconds of outage: from the server's return to an open client. */
  outages: Record<string, Record<string, Waits>>
  /** By contestant and talk: from the freeze to the client's notice. */
  frozen: Record<string, Record<Talk, Waits>>
  /** When the trial with the frozen server ended, in milliseconds. */
  frozenForMs: number
  fleets: Record<string, Restart[]>
  clients: number
  failures: Record<string, string>
}
