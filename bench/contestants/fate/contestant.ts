// What the section `fate` asks of a contestant: a client that sends counters and hands over those of the server, and the name of
// the server it talks to.

import type { Noted } from '../../harness/ledger.ts'

export type ServerKind = 'plain' | 'session' | 'socket.io' | 'socket.io-recovery'

export interface FateHooks {
  onOpen(): void
  onMessage(n: number): void
  /** The library said that this message will not arrive, or may not. */
  onTold(n: number): void
}

export interface FateContestant {
  /** Hands a counter over. A promise resolves when the library has it, and rejects when it has not. */
  send(n: number): Promise<unknown> | undefined
}

export type MakeFate = (origin: string, hooks: FateHooks) => FateContestant | Promise<FateContestant>

export interface FateEntry {
  name: string
  kind: 'ours' | 'peer'
  server: ServerKind
  load: () => Promise<MakeFate>
}

/** The counters that arrived, in order. */
export function handledIn(notes: readonly Noted[]): number[] {
  return notes.filter(({ note }) => note === 'handled').map(({ n }) => n)
}
