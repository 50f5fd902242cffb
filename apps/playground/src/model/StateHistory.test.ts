import { expect, it } from 'vitest'
import { StateHistory } from './StateHistory.ts'

it('gives the spans of its window without gaps', () => {
  const history = new StateHistory(100)
  history.enter('connecting', 0)
  history.enter('open', 10)
  history.enter('open', 20)
  history.enter('waiting', 60)
  expect(history.spans(80)).toEqual([
    { state: 'connecting', from: 0, to: 10 },
    { state: 'open', from: 10, to: 60 },
    { state: 'waiting', from: 60, to: 80 },
  ])
  expect(history.spans(130)).toEqual([
    { state: 'open', from: 30, to: 60 },
    { state: 'waiting', from: 60, to: 130 },
  ])
})

it('remembers the state that its window begins in, and no more', () => {
  const history = new StateHistory(100)
  for (let change = 0; change < 1000; change += 1) history.enter(change % 2 ? 'open' : 'waiting', change * 30)
  const spans = history.spans(30_000)
  expect(spans[0]?.from).toBe(29_900)
  expect(spans.length).toBeLessThanOrEqual(5)
})
