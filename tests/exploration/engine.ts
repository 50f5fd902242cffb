// The code under exploration: the modules of src/session, or of a copy of them with a deliberate bug.

import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

type Client = typeof import('../../src/session/clientSession.ts')
type Table = typeof import('../../src/session/serverTable.ts')

export type Engine = Pick<Client, 'ClientSession' | 'newClient'> & Pick<Table, 'ServerTable' | 'newTable'>

export const SHIPPED = resolve(import.meta.dirname, '../../src/session')

/** Loads the engine from a directory of TypeScript files; Node strips their types. */
export async function loadEngine(directory = SHIPPED): Promise<Engine> {
  const load = (file: string) => import(pathToFileURL(join(directory, file)).href)
  const client = (await load('clientSession.ts')) as Client
  const table = (await load('serverTable.ts')) as Table
  return {
    ClientSession: client.ClientSession,
    newClient: client.newClient,
    ServerTable: table.ServerTable,
    newTable: table.newTable,
  }
}
