// How far tests go that could go on for ever: `npm test` samples, `npm run test:long` proves.

import process from 'node:process'

/** Whether this is the long run. */
export const LONG = process.env.GURU_PROOFS === 'long'
