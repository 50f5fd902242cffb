import { expect, it } from 'vitest'
import { EventLog } from './EventLog.ts'

const entry = (kind: 'ok' | 'retry' | 'limited', at: number, text: string, routine = true) => ({
  kind,
  at,
  text,
  routine,
  subject: 'GET /x',
})

it('routine that repeats itself shares a line: the latest, with how often', () => {
  const log = new EventLog(10)
  log.add(entry('ok', 1, '200 · 5 ms'))
  log.add(entry('ok', 2, '200 · 6 ms'))
  expect(log.entries).toEqual([
    { id: 1, kind: 'ok', at: 2, subject: 'GET /x', text: '200 · 6 ms', times: 2, routine: true },
  ])
})

it('what is worth reading has a line of its own and ends a row', () => {
  const log = new EventLog(10)
  log.add(entry('ok', 1, 'one'))
  log.add(entry('retry', 2, 'two', false))
  log.add(entry('retry', 3, 'three', false))
  log.add(entry('ok', 4, 'four', false))
  log.add(entry('ok', 5, 'five'))
  expect(log.entries.map(({ text, times }) => [text, times])).toEqual([
    ['five', 1],
    ['four', 1],
    ['three', 1],
    ['two', 1],
    ['one', 1],
  ])
})

it('keeps as many as it may, and every entry changes its version', () => {
  const log = new EventLog(3)
  for (let at = 0; at < 9; at += 1) log.add(entry('retry', at, String(at), false))
  expect(log.entries.map(({ text }) => text)).toEqual(['8', '7', '6'])
  expect(log.version).toBe(9)
})
