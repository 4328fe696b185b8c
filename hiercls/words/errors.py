"""Errors that a user can fix, each with the exit code of the command line."""


class HierclsError(Exception):
    """A mistake outside the program, told in one sentence to the person who can fix it."""

    exit_code = 2


class ConfigurationError(HierclsError):
    """A YAML, an option or a combination of both that cannot mean anything."""


class DataError(HierclsError):
    """A file or a dataset that is missing, unreadable, unwritable or not what it claims to be."""

    exit_code = 3


class PluginError(HierclsError):
    """A plugin or an optional dependency that is needed and cannot be used."""

    exit_code = 4


class DeviceError(HierclsError):
    """A device that is missing or out of memory."""

    exit_code = 5


class CertificateBroken(HierclsError):
    """An attack succeeded inside a certified radius."""

    exit_code = 6


class NormMismatch(ConfigurationError):
    """Certificates in different norms met; convert them first with `in_norm`."""


class OutsideDomain(DataError):
    """An input that is not finite or lies outside the declared domain of the threat."""
