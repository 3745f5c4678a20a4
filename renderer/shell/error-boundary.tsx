import { Button, Code, Group, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Component, type ReactNode } from 'react';

interface Props {
  children: ReactNode;
}

/** A fault in the window itself: sync runs elsewhere and goes on, so say that, and offer the ways back. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(thrown: unknown) {
    return { error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <Stack role="alert" p="xl" gap="md" maw={640} className="selectable">
        <Group gap="sm">
          <IconAlertTriangle aria-hidden />
          <Title order={1} size="h3">
            This window had a fault
          </Title>
        </Group>
        <Text>Sync runs outside this window and goes on. Your data is safe.</Text>
        <Group gap="sm">
          <Button onClick={() => this.setState({ error: null })}>Try again</Button>
          <Button variant="default" onClick={() => window.location.reload()}>
            Reload window
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          For your administrator:
        </Text>
        <Code block>{error.stack ?? error.message}</Code>
      </Stack>
    );
  }
}
