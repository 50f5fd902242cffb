import { expect, it } from 'vitest'
import { FaultPeriods } from './FaultPeriods.ts'

it('knows when which fault was at work, however often it is told', () => {
  const faults = new FaultPeriods(100)
  faults.set('slow', false, 0)
  faults.set('slow', true, 10)
  faults.set('slow', true, 20)
  faults.blow('cut', 25)
  faults.set('slow', false, 40)
  faults.set('503', true, 50)
  expect(faults.within(60)).toEqual([
    { name: 'slow', from: 10, to: 40 },
    { name: 'cut', from: 25, to: 25 },
    { name: '503', from: 50, to: 60 },
  ])
})

it('keeps a fault that began before its window and still lasts', () => {
  const faults = new FaultPeriods(100)
  faults.set('slow', true, 0)
  for (let at = 0; at <= 1000; at += 10) faults.blow('cut', at)
  expect(faults.within(1000)[0]).toEqual({ name: 'slow', from: 900, to: 1000 })
  expect(faults.within(1000).length).toBeLessThan(13)
})
