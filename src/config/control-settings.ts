/** Settings of the control plane: who may do what to Duramen itself. */
import { z } from 'zod';
import { settingNotes } from './setting-notes.ts';

export const controlSettings = z.strictObject({
  policies: z.string().min(1).max(4096).optional().register(settingNotes, {
    description:
      'Folder of *.cedar files that decide who may do what to Duramen itself, in place of the shipped ones in policies/control; docs/control-plane.md has the rules. They are checked at the start, and refused when they leave nobody able to make keys.',
    unit: 'path',
  }),
  twoPersonActivation: z.enum(['off', 'on']).default('off').register(settingNotes, {
    description:
      'With `on` a bundle is activated, and rolled back to, by another key than the one that pushed it.',
  }),
});
