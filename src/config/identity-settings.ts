/** Settings of who calls: issuers of tokens, and how gateways bring in callers unless their key says otherwise. */
import { z } from 'zod';
import { CALLER_MODES } from '../domain/caller-rules.ts';
import { issuerSettingsSchema, MAX_ISSUERS } from '../domain/issuer-settings.ts';
import { callerKeySettings } from './caller-key-settings.ts';
import { certificateSettings } from './certificate-settings.ts';
import { settingNotes } from './setting-notes.ts';

export const identitySettings = z.strictObject({
  defaultMode: z.enum(CALLER_MODES).default('assert').register(settingNotes, {
    description:
      'For gateways whose key has no `callers` rules: `assert` lets them name the principal, `verify` demands the credential of the caller with every request.',
  }),
  issuers: z.array(issuerSettingsSchema).max(MAX_ISSUERS).default([]).register(settingNotes, {
    description:
      'Issuers whose tokens are accepted as credentials of callers; docs/identity.md has every field. In the environment a JSON array.',
    unit: 'issuers',
  }),
  callerKeys: callerKeySettings.prefault({}),
  ...certificateSettings,
});
