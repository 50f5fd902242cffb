// Ours, with its defaults: plain, and in a session.

import { GuruConnection } from 'guru-comms/GuruConnection'
import type { FateHooks, MakeFate } from './contestant.ts'

interface Counter {
  n: number
}

const counterOf = (data: unknown) => (typeof data === 'string' ? (JSON.parse(data) as Counter).n : Number.NaN)

function make(origin: string, session: 'off' | 'required', { onOpen, onTold }: FateHooks) {
  const connection = new GuruConnection({ url: `${origin}/ws`, session })
  connection.on('open', onOpen)
  connection.on('dropped', ({ data }) => onTold(counterOf(data)))
  connection.on('sessionLost', ({ inDoubt }) => {
    for (const { data } of inDoubt) onTold(counterOf(data))
  })
  return { connection, send: (n: number) => connection.send({ n }).stored }
}

export const withoutSession: MakeFate = (origin, hooks) => {
  const { connection, send } = make(origin, 'off', hooks)
  connection.on('message', (message) => hooks.onMessage((message as Counter).n))
  return { send }
}

export const inSession: MakeFate = (origin, hooks) => {
  const { connection, send } = make(origin, 'required', hooks)
  connection.handle((message) => hooks.onMessage((message as Counter).n))
  return { send }
}
