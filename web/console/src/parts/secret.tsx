import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { t } from '../texts';
import { openForm } from './ask';
import { CopyLine } from './atoms';

/** Shows what is shown only once. */
export function showSecret(title: string, text: string, secrets: { label: string; value: string }[]) {
  openForm(title, (close) => (
    <Stack gap="md">
      <Alert variant="light" icon={<IconKey size={18} />}>
        {text}
      </Alert>
      {secrets.map((s) => (
        <div key={s.label}>
          <Text size="sm" fw={550} mb={4}>
            {s.label}
          </Text>
          <CopyLine value={s.value} label={s.label} wrap />
        </div>
      ))}
      <Group justify="flex-end">
        <Button onClick={close}>{t.common.done}</Button>
      </Group>
    </Stack>
  ));
}
