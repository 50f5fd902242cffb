// The code under exploration: the modules of src/session, or of a copy of them with a deliberate bug.

import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

type Client = typeof import('../../src/session/clientSession.ts')
type Server = typeof import('../../src/session/serverSession.ts')
type Table = typeof import('../../src/session/serverTable.ts')
type Runtime = typeof import('../../src/session/SessionRuntime.ts')
type Writer = typeof import('../../src/session/storeWriter.ts')
type Fates = typeof import('../../src/session/receipts.ts')
type Events = typeof import('../../src/session/deferredEvents.ts')

export type Engine = Pick<Client, 'ClientSession' | 'newClient'> &
  Pick<Server, 'ServerSession'> &
  Pick<Table, 'ServerTable' | 'newTable'> &
  Pick<Runtime, 'SessionRuntime' | 'newRuntime'> &
  Pick<Writer, 'StoreWriter' | 'newWriter'> &
  Pick<Fates, 'Receipts'> &
  Pick<Events, 'DeferredEvents'>

export const SHIPPED = resolve(import.meta.dirname, '../../src/session')

/** Loads the engine from a directory of TypeScript files; Node strips their types. */
export async function loadEngine(directory = SHIPPED): Promise<Engine> {
  const load = (file: string) => import(pathToFileURL(join(directory, file)).href)
  const { ClientSession, newClient } = (await load('clientSession.ts')) as Client
  const { ServerSession } = (await load('serverSession.ts')) as Server
  const { ServerTable, newTable } = (await load('serverTable.ts')) as Table
  const { SessionRuntime, newRuntime } = (await load('SessionRuntime.ts')) as Runtime
  const { StoreWriter, newWriter } = (await load('storeWriter.ts')) as Writer
  const { Receipts } = (await load('receipts.ts')) as Fates
  const { DeferredEvents } = (await load('deferredEvents.ts')) as Events
  return {
    ClientSession,
    newClient,
    ServerSession,
    ServerTable,
    newTable,
    SessionRuntime,
    newRuntime,
    StoreWriter,
    newWriter,
    Receipts,
    DeferredEvents,
  }
}
